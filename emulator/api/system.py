"""The public operations: what runs here, and how much of it."""

import os
from dataclasses import replace

from emulator.api.call import Call, Reply
from emulator.emulator import Emulator
from emulator.errors import NotImplementedYet, Unavailable
from emulator.sandbox.network import SEMITRUSTED, ZEROTRUST
from emulator.sandbox.pool import Figures

NETWORK_MODES = (ZEROTRUST, SEMITRUSTED)


async def get_health(_emulator: Emulator, _call: Call) -> Reply:
    return Reply({"status": "ok"})


async def get_ready(emulator: Emulator, _call: Call) -> Reply:
    """200 only when an execution would work now."""
    reasons = emulator.obstacles()
    if reasons:
        raise Unavailable("; ".join(reasons), ready=False, status="starting", reasons=reasons)
    return Reply({"ready": True, "status": "ready"})


async def list_languages(emulator: Emulator, _call: Call) -> Reply:
    languages = emulator.catalogue.languages()
    return Reply(
        {"languages": languages, "aliases": emulator.catalogue.aliases(), "count": len(languages)}
    )


async def list_shells(emulator: Emulator, _call: Call) -> Reply:
    shells = emulator.catalogue.shells
    names = shells.names()
    return Reply(
        {
            "shells": names,
            "categories": {name: list(members) for name, members in shells.categories.items()},
            "count": len(names),
        }
    )


def _figures(emulator: Emulator, network_mode: str | None = None) -> Figures:
    """Containers of runs and of sessions; a frozen session allocates nothing."""
    pool = emulator.pool.figures(network_mode)
    sessions = sum(
        network_mode in (None, session.record.network_mode) and not session.record.frozen
        for session in emulator.sessions.lives.all()
    )
    return replace(pool, allocated=pool.allocated + sessions)


async def get_cluster(emulator: Emulator, _call: Call) -> Reply:
    figures = _figures(emulator)
    return Reply(
        {
            "mode": "pooled",
            "pool_size": figures.total + figures.spawning,
            "allocated": figures.allocated,
            "available": figures.available,
            "spawning": figures.spawning,
            "total_containers": figures.total,
            "network_mode": "hybrid",
            "network_breakdown": {
                mode: _breakdown(_figures(emulator, mode)) for mode in NETWORK_MODES
            },
        }
    )


def _breakdown(figures: Figures) -> dict[str, int]:
    return {
        "allocated": figures.allocated,
        "available": figures.available,
        "total": figures.total,
    }


async def get_pools(emulator: Emulator, _call: Call) -> Reply:
    figures = _figures(emulator)
    pool = {
        "id": f"pool_manager@{emulator.engine.instance}",
        "allocated": figures.allocated,
        "available": figures.available,
        "total": figures.total,
    }
    return Reply(
        {
            "pool_count": 1,
            "total_capacity": figures.total,
            "total_allocated": figures.allocated,
            "total_available": figures.available,
            "pools": [pool],
        }
    )


async def get_stats(emulator: Emulator, _call: Call) -> Reply:
    one, five, fifteen = (f"{load:.2f}" for load in os.getloadavg())
    return Reply(
        {
            "containers": _figures(emulator).total,
            "load_1min": one,
            "load_5min": five,
            "load_15min": fifteen,
        }
    )


async def get_openapi(emulator: Emulator, _call: Call) -> Reply:
    return Reply(emulator.spec.document)


async def generate_image(_emulator: Emulator, _call: Call) -> Reply:
    """Pictures from text need a model; the contract says that this stays 501 here."""
    raise NotImplementedYet("Picture generation needs a model that this emulator does not have")
