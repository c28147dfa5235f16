"""A bare Starlette route, served as the emulator serves its own: the least that an answer costs."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from emulator.listeners import address, bind, serving


@contextmanager
def bare_server(document: object) -> Iterator[str]:
    """A process that answers `GET /jobs/{id}` with `document`, for the block; its address."""
    command = [sys.executable, "-m", "scripts.bench.bare", json.dumps(document)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()


async def _serve(document: object) -> None:
    async def job(_request: Request) -> JSONResponse:
        return JSONResponse(document)

    app = Starlette(routes=[Route("/jobs/{job_id}", job)])
    with bind("127.0.0.1", 0) as listener:
        async with serving(app, listener):
            print(address(listener), flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(json.loads(sys.argv[1])))
