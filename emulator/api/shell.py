"""The WebSocket of a shell: the terminal's bytes both ways, its size and its end as JSON."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from uvicorn.protocols.utils import ClientDisconnected

from emulator.api.call import Call, Upgraded
from emulator.emulator import Emulator
from emulator.exchange import GONE
from emulator.sessions.doors import require_running
from emulator.sessions.ending import Ending
from emulator.sessions.terminal import Viewer
from emulator.typed import misfit

PROTOCOL: Final = "unsandbox-shell"
TYPED_MOST: Final = 1024 * 1024
"""Bytes of input that may wait for the program; what a client sends beyond that is not read."""

FAREWELL_SECONDS = 30.0
"""How long a client may take to read how it ended, and what came before that."""

CLOSE_SECONDS: Final = 0.05
"""How long after its last event a WebSocket is closed, unless the client does that before."""

LAST_KEYS_SECONDS = 0.5
"""How long a program whose client has gone may take nothing of what that had typed before."""

_PIECE: Final = 65_536
_CLOSE_CODES: Final = {"exit": 1000, "detached": 1000, "error": 1011}
_Cells = Annotated[int, Meta(ge=1, le=1000)]


class Resize(msgspec.Struct, tag_field="type", tag="resize"):
    """What a client says of the size of its terminal: ShellResize of the contract."""

    cols: _Cells
    rows: _Cells


async def open_session_shell(emulator: Emulator, call: Call) -> Upgraded:
    """The shell of a session, for its owner, or for anybody who knows its whole id."""
    emulator.readiness.require()
    lives, name = emulator.sessions.lives, call.path["id"]
    sender = call.sender
    session = lives.find_by_id(name) if sender is None else lives.find(name, sender.public_key)
    require_running(session)

    async def serve(socket: WebSocket) -> None:
        async with emulator.sessions.doors.opened(session) as client:
            await converse(socket, client.viewer, client.ending)

    return Upgraded(serve)


async def converse(socket: WebSocket, viewer: Viewer, ending: Awaitable[Ending]) -> Ending | None:
    """Accept a client and let it use a shell, until one of the two ends.

    All output comes first, then how it ends, then the WebSocket's own end. Returns what the client
    was told; None when it went before. An `ending` that comes while the program runs ends the
    output.
    """
    offered = PROTOCOL in socket.scope["subprotocols"]
    keyboard = _Keyboard(viewer)
    try:
        await socket.accept(PROTOCOL if offered else None)
        telling = asyncio.ensure_future(_tell(socket, viewer, ending))
        others = (
            asyncio.ensure_future(_listen(socket, viewer, keyboard)),
            asyncio.ensure_future(keyboard.type()),
            asyncio.ensure_future(_gone(socket, keyboard)),
        )
        return await _first(telling, *others)
    except (WebSocketDisconnect, ClientDisconnected, TimeoutError):
        return None
    finally:
        viewer.leave()


async def _first(
    telling: "asyncio.Future[Ending]", *others: "asyncio.Future[None]"
) -> Ending | None:
    """What was told, unless another one is done before."""
    tasks: tuple[asyncio.Future[Any], ...] = (telling, *others)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if telling.done():
            return telling.result()
        for task in others:
            if task.done():
                task.result()
        return None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _tell(socket: WebSocket, viewer: Viewer, ending: Awaitable[Ending]) -> Ending:
    """Show output to its end and tell what that was; TimeoutError when it is not read in time."""
    over = asyncio.shield(ending)  # others wait for it, too
    async with asyncio.timeout(None) as patience:
        loop = asyncio.get_running_loop()

        def conclude(_: object) -> None:
            viewer.conclude()
            if telling:
                patience.reschedule(loop.time() + FAREWELL_SECONDS)

        telling = True
        over.add_done_callback(conclude)
        try:
            async for piece in viewer.output():
                await socket.send_bytes(piece)
            told = Ending("detached", viewer.dropped) if viewer.dropped else await over
            await _bid_farewell(socket, told)
        finally:
            telling = False
            over.remove_done_callback(conclude)
    return told


async def _bid_farewell(socket: WebSocket, told: Ending) -> None:
    """How it ended, then the WebSocket's end, which the vendor's client must not get with it."""
    if told.shown:
        await socket.send_bytes(told.shown)
    await socket.send_text(_event(told.event, told.message))
    await asyncio.sleep(CLOSE_SECONDS)
    await socket.close(_CLOSE_CODES[told.event])


async def _listen(socket: WebSocket, viewer: Viewer, keyboard: "_Keyboard") -> None:
    """Take what the client sends, until it goes."""
    while (message := await socket.receive())["type"] == "websocket.receive":
        typed = message.get("bytes")
        if typed is not None:
            await keyboard.press(typed)
        else:
            await _obey(message["text"], socket, viewer)
    await keyboard.finish()


async def _gone(socket: WebSocket, keyboard: "_Keyboard") -> None:
    """Return when the client has gone, though nobody came to listen to that."""
    await socket.scope["extensions"][GONE]["event"].wait()
    await keyboard.finish()


async def _obey(text: str, socket: WebSocket, viewer: Viewer) -> None:
    """Do what a text frame asks for; one that asks for nothing is answered, and forgotten."""
    try:
        size = msgspec.json.decode(text, type=Resize)
    except msgspec.ValidationError as error:
        complaint = misfit(error)
    except (msgspec.DecodeError, RecursionError) as error:
        complaint = f"The frame is not JSON: {error}"
    else:
        viewer.resize(size.cols, size.rows)
        return
    if socket.application_state is WebSocketState.CONNECTED:
        await socket.send_text(_event("error", complaint))


def _event(event: str, message: str | None) -> str:
    """ShellEvent of the contract. Clients look for `"type":"exit"`: there are no spaces."""
    told = {"type": event} if message is None else {"type": event, "message": message}
    return msgspec.json.encode(told).decode()


class _Keyboard:
    """What a client has typed, on its way to a program that may take it later or never.

    So the client is listened to, and heard going, while the program does not listen.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._typed = bytearray()
        self._change = asyncio.Event()

    async def press(self, data: bytes) -> None:
        """Return when there is room for more."""
        self._typed += data
        self._change.set()
        while len(self._typed) > TYPED_MOST:
            await self._changed()

    async def finish(self) -> None:
        """Return when the program has taken everything, or takes no more."""
        with suppress(TimeoutError):
            while self._typed:
                async with asyncio.timeout(LAST_KEYS_SECONDS):
                    await self._changed()

    async def type(self) -> None:
        """Bring everything to the program, for ever."""
        while True:
            while self._typed:
                piece = bytes(self._typed[:_PIECE])
                await self._viewer.write(piece)
                del self._typed[: len(piece)]
                self._change.set()
            await self._changed()

    async def _changed(self) -> None:
        self._change.clear()
        await self._change.wait()
