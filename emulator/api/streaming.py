"""Answers that go on: server-sent events, for as long as their client stays."""

import asyncio

from starlette.types import Receive, Send

from emulator.api.call import Streamed
from emulator.exchange import Exchange
from emulator.spec import EVENT_STREAM

_HEADERS = {"content-type": f"{EVENT_STREAM}; charset=utf-8", "cache-control": "no-cache"}


async def stream(
    streamed: Streamed, exchange: Exchange, receive: Receive, send: Send, *, checked: bool
) -> None:
    """Send the events, no faster than the client reads; with `checked`, each by the contract.

    Raises:
        ContractViolation: an event is not one that the contract has; the answer breaks off.
    """
    try:
        await send(_head(exchange))
        if exchange.method == "HEAD":
            await send({"type": "http.response.body"})
            return
        sending = asyncio.ensure_future(_send_all(streamed, exchange, send, checked=checked))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            for task in (sending, gone):
                task.cancel()
            await asyncio.gather(sending, gone, return_exceptions=True)
    finally:
        streamed.close()


async def _send_all(streamed: Streamed, exchange: Exchange, send: Send, *, checked: bool) -> None:
    async for batch in streamed.batches:
        if checked and exchange.operation is not None:
            for data in batch:
                exchange.operation.check_reply(exchange.status, EVENT_STREAM, {"data": data})
        body = "".join(f"data: {data}\n\n" for data in batch).encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body"})


def _head(exchange: Exchange) -> dict[str, object]:
    exchange.status = 200
    headers = {**_HEADERS, **exchange.response_headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": exchange.status, "headers": raw}


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
