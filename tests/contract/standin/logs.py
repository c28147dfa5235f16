"""The platform's log, which is that of the stand-in's own requests, and its stream."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from tests.contract.standin.world import Call, World

Document = dict[str, Any]
SOURCE = "api"
_LOOK_SECONDS = 0.02
_TOGETHER_SECONDS = 0.5
_KEEPALIVE_SECONDS = 1.0


def read_logs(world: World, call: Call) -> Document:
    source = call.given.get("source", "all")
    lines = [line for line in world.lines if _asked(world, call, line)]
    if not world.has("lines ignored"):
        lines = lines[-int(call.given.get("lines", 100)) :]
    if world.has("lines newest first"):
        lines.reverse()
    entries = [{"source": SOURCE, "line": line} for line in lines]
    return {
        "sources": [SOURCE],
        "lines": entries if source == "all" else lines,
        "logs": entries,
        "count": len(lines),
    }


def _asked(world: World, call: Call, line: str) -> bool:
    level = call.given.get("level", "debug")
    return (
        call.given.get("source", "all") in ("all", SOURCE)
        and (call.given.get("grep", "") in line or world.has("grep ignored"))
        and (level in ("debug", "info") or " 5" in line)
    )


async def stream(world: World, call: Call) -> AsyncIterator[bytes]:
    """Lines as they come, as server-sent events."""
    shown, silent = len(world.lines), time.monotonic()
    together = 2 if world.has("events reordered") else 1
    while True:
        new = [line for line in world.lines[shown:] if _asked(world, call, line)]
        idle = time.monotonic() - silent
        if len(new) >= together or (new and idle > _TOGETHER_SECONDS):
            shown, silent = len(world.lines), time.monotonic()
            new[:together] = reversed(new[:together])
            for line in new[: 1 if world.has("stream ends") else None]:
                yield _event(world, line)
            if world.has("stream ends"):
                return
        elif idle > _KEEPALIVE_SECONDS:
            silent = time.monotonic()
            yield b"data: :keepalive\n\n"
        await asyncio.sleep(_LOOK_SECONDS)


def _event(world: World, line: str) -> bytes:
    data = json.dumps({"source": SOURCE, "line": line}, separators=(",", ":"))
    if world.has("event without source"):
        data = line
    return f"data: {data}\n\n".encode()
