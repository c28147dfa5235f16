"""A reverse proxy that makes a good server faulty, so that checks can be seen to fail."""

import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contract.signing import AUTHORIZATION, SIGNATURE, TIME, signature, signed_headers
from contract.target import EMULATOR

READY_SECONDS = 30
ACCOUNTS = EMULATOR.accounts
ROLES = {it.public_key: role for role, it in ACCOUNTS.items()}
_NOT_PASSED = ("host", "content-length", "connection", "transfer-encoding")


@dataclass(frozen=True)
class Call:
    """A request on its way; names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.split("?")[0]

    @property
    def role(self) -> str:
        """Of the account whose key it names; empty for any other key."""
        return ROLES.get(self.headers.get(AUTHORIZATION.lower(), "").removeprefix("Bearer "), "")

    @property
    def at(self) -> str:
        return self.headers.get(TIME.lower(), "")

    def is_signed(self, role: str, body: bytes) -> bool:
        """Whether its signature is that of an account over this body."""
        right = signature(ACCOUNTS[role].secret_key, self.at, self.method, self.target, body)
        return self.headers.get(SIGNATURE.lower()) == right

    def as_(self, role: str) -> "Call":
        """The same, rightly signed by an account."""
        signed = signed_headers(ACCOUNTS[role], self.method, self.target, self.body, time.time())
        return self.with_(**{name.lower(): value for name, value in signed.items()})

    def with_(self, **headers: str) -> "Call":
        return replace(self, headers=self.headers | headers)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


Forward = Callable[[Call], Awaitable[Answer]]


class Fault(Protocol):
    """Stands between a request and the server."""

    def __call__(self, call: Call, forward: Forward) -> Awaitable[Answer]: ...


@contextmanager
def faulty(url: str, *faults: Fault) -> Iterator[str]:
    """The address of a proxy before the server at `url`, with these faults, the first outermost."""
    client = httpx.AsyncClient(base_url=url, timeout=60, trust_env=False)

    async def forward(call: Call) -> Answer:
        request = client.build_request(
            call.method, "/", headers=call.headers, content=call.body or None
        )
        request.extensions = {**request.extensions, "target": call.target.encode("latin-1")}
        got = await client.send(request)
        kept = {name: it for name, it in got.headers.items() if name not in _NOT_PASSED}
        return Answer(got.status_code, kept, got.content)

    chain: Forward = forward
    for fault in reversed(faults):
        chain = partial(fault, forward=chain)

    async def serve(request: Request) -> Response:
        query = request.scope["query_string"].decode("latin-1")
        target = request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        headers = {k: v for k, v in request.headers.items() if k not in _NOT_PASSED}
        call = Call(request.method, target, headers, await request.body())
        answer = await chain(call)
        return Response(answer.body, answer.status, answer.headers)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await client.aclose()

    methods = ["GET", "POST", "PUT", "DELETE", "PATCH"]
    app = Starlette(routes=[Route("/{path:path}", serve, methods=methods)], lifespan=lifespan)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        until = time.monotonic() + READY_SECONDS
        while not server.started and time.monotonic() < until:
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(READY_SECONDS)
