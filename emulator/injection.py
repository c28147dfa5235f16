"""Where faults on demand meet requests: before they are dispatched, and as they are answered."""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.utils import ClientDisconnected

from emulator.clock import Clock
from emulator.errors import ApiError
from emulator.exchange import Exchange
from emulator.faults import FaultRules, Struck, strike
from emulator.middleware import refuse
from emulator.spec import Spec

CUT = "unsandbox.cut"
"""The extension of HTTP scopes whose `connection()` ends the connection; `listeners.py` adds it."""
CUT_SECONDS = 30
"""How long what was sent before a cut may take to leave."""


class FaultInjection:
    """Lets faults that rules ask for happen, and ends what a request's own header asked to end.

    A rule is matched before anybody is authenticated, as real faults are: the account is the one
    that the request names.
    """

    def __init__(self, app: ASGIApp, rules: FaultRules, spec: Spec, clock: Clock) -> None:
        self.app = app
        self.rules = rules
        self.spec = spec
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        exchange = Exchange.of(scope)
        try:
            if self.rules:
                await self._strike(scope, exchange)
            await self.app(scope, receive, _halving(send, exchange))
        except Struck as struck:
            if struck.answer is None:
                await _cut(scope, receive)
            else:
                await refuse(scope, receive, send, struck.answer)

    async def _strike(self, scope: Scope, exchange: Exchange) -> None:
        with suppress(ApiError):  # a path that is nowhere has no operation
            exchange.operation, _ = self.spec.match(exchange.method, scope["raw_path"])
        public_key = Headers(scope=scope).get("authorization", "").partition(" ")[2].strip()
        struck = self.rules.strikes(exchange, public_key)
        if struck is not None:
            rule_id, fault = struck
            await strike(fault, rule_id, exchange, self.clock)


def _halving(send: Send, exchange: Exchange) -> Send:
    """A `send` that ends after half of the first piece of a body which is to be truncated."""

    async def halving(message: Message) -> None:
        body = message.get("body", b"")
        if exchange.truncate and message["type"] == "http.response.body" and body:
            await send({**message, "body": body[: len(body) // 2], "more_body": True})
            raise Struck(None)
        await send(message)

    return halving


async def _cut(scope: Scope, receive: Receive) -> None:
    """End the connection as it is; what has been sent still arrives."""
    if scope["type"] == "websocket":
        raise ClientDisconnected
    scope["extensions"][CUT]["connection"]()
    with suppress(TimeoutError):
        async with asyncio.timeout(CUT_SECONDS):
            while (await receive())["type"] != "http.disconnect":
                continue
