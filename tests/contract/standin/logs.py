"""The platform's log, which is that of the stand-in's own requests, and its stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from tests.contract.standin.world import Call, World

Document = dict[str, Any]
SOURCE = "api"
_LOOK_SECONDS = 0.02
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
    shown = len(world.lines)
    idle = 0.0
    world.streams += 1
    try:
        yield b"data: :keepalive\n\n"
        while True:
            new = [line for line in world.lines[shown:] if _asked(world, call, line)]
            shown = len(world.lines)
            if world.has("events reordered") and len(new) > 1:
                new[0], new[1] = new[1], new[0]
            for line in new:
                yield _event(world, line)
                if world.has("stream ends"):
                    return
            idle = 0.0 if new else idle + _LOOK_SECONDS
            if idle > _KEEPALIVE_SECONDS:
                idle = 0.0
                yield b"data: :keepalive\n\n"
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        world.streams -= 1


def _event(world: World, line: str) -> bytes:
    data = json.dumps({"source": SOURCE, "line": line}, separators=(",", ":"))
    if world.has("event without source"):
        data = line
    return f"data: {data}\n\n".encode()
