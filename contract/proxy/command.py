"""`unsandbox-contract proxy`: between an SDK and a server, until Ctrl-C."""

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from contract import options
from contract.campaign import redactor
from contract.consent import admitted
from contract.exchange import Request, Response
from contract.proxy.forward import Forward
from contract.proxy.guard import LOOPBACK, HostGuard
from contract.proxy.judge import Judge
from contract.proxy.log import Log
from contract.proxy.report import page
from contract.proxy.shell import Shell
from contract.spec import SPEC, Spec, SpecError
from contract.target import Target, TargetError

__all__ = ["HELP", "arguments", "main", "serving"]

HELP = "stand between an SDK and a server, and say what breaks the contract"
CLEAN, FAULTS, COULD_NOT_RUN = 0, 1, 2
DEFAULT_PORT = 8041
_TIMEOUT = httpx.Timeout(20, read=None)
"""Reading takes as long as the server likes: logs are followed, programs run."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Listens on 127.0.0.1 and sends every request on to the target as it is, WebSockets too. "
        "Point an SDK at it and end it with Ctrl-C. Exit status: 0 when nothing broke the "
        "contract, 1 when something did, 2 when it could not start."
    )
    options.add_to(parser, ("url", "target", "targets", "spec"))
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes a free one")
    parser.add_argument(
        "--report",
        metavar="DIR",
        type=Path,
        help="where requests.jsonl and report.html are written; nowhere when left out",
    )
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a further host name that requests may be addressed to (a name that leads here)",
    )
    parser.add_argument("--strict", action="store_true", help="warnings make the exit status 1 too")
    parser.add_argument("--cert", metavar="FILE", help="serve TLS with this certificate chain")
    parser.add_argument("--key", metavar="FILE", help="the certificate's private key")


def main(args: argparse.Namespace) -> int:
    """Serve until a signal comes; an exit status."""
    try:
        target = admitted(args.target, args.url, args.targets)
        judge = Judge(Spec(args.spec or SPEC), target)
        log = Log(args.report, redactor(target))
        log.start()
        with _listener(args.port) as listener:
            asyncio.run(_run(args, target, judge, log, listener))
    except (TargetError, SpecError, OSError, OverflowError) as error:
        print(f"unsandbox-contract: could not run: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    if args.report:
        (args.report / "report.html").write_text(page(log, target.url), encoding="utf-8")
    print(", ".join(f"{log.outcomes[name]} {name}" for name in ("fail", "warn", "pass")))
    bad = log.outcomes["fail"] + (log.outcomes["warn"] if args.strict else 0)
    return FAULTS if bad else CLEAN


async def _run(
    args: argparse.Namespace, target: Target, judge: Judge, log: Log, listener: socket.socket
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serving(
        target, judge, log, listener, (*LOOPBACK, *args.allow_host), args.cert, args.key
    ):
        scheme = "https" if args.cert else "http"
        print(
            f"{scheme}://127.0.0.1:{listener.getsockname()[1]} stands for {target.url}", flush=True
        )
        await stop.wait()


@asynccontextmanager
async def serving(
    target: Target,
    judge: Judge,
    log: Log,
    listener: socket.socket,
    hosts: tuple[str, ...] = LOOPBACK,
    cert: str | None = None,
    key: str | None = None,
) -> AsyncIterator[None]:
    """The proxy for the block; raises OSError for a certificate that cannot be read."""
    one = anyio.CapacityLimiter(1)

    async def tell(request: Request, response: Response | None, at: float, *, whole: bool) -> None:
        def judged() -> None:
            log.add(judge.line(request, response, at, whole=whole))

        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(judged, limiter=one)

    async with httpx.AsyncClient(
        timeout=_TIMEOUT, follow_redirects=False, trust_env=False, limits=_UNLIMITED
    ) as http:
        ways: dict[str, ASGIApp] = {
            "http": Forward(target.url, http, tell),
            "websocket": Shell(target.url, tell),
        }
        config = uvicorn.Config(
            HostGuard(partial(_dispatch, ways), hosts),
            http="h11",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            ws_ping_interval=None,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
            ssl_certfile=cert,
            ssl_keyfile=key,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await task


_UNLIMITED = httpx.Limits(max_connections=None, max_keepalive_connections=20)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the command's."""
        yield


async def _dispatch(ways: dict[str, ASGIApp], scope: Scope, receive: Receive, send: Send) -> None:
    await ways[scope["type"]](scope, receive, send)


@contextmanager
def _listener(port: int) -> Iterator[socket.socket]:
    with contextlib.closing(socket.socket()) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        yield listener
