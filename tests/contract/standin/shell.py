"""The shell's WebSocket: a terminal that echoes, and runs a line when it ends."""

import json

from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.contract.standin import commands
from tests.contract.standin.world import Thing, World

PROTOCOL = "unsandbox-shell"
_ENDINGS = (b"\r", b"\n")
_PREFIX, _END_OF_FILE = b"\x02", b"\x04"
_INTO_FILE = b"; cat > "
_CUT, _KEPT = 65_536, 64


class Terminal:
    """One client at one session."""

    def __init__(self, world: World, session: Thing, socket: WebSocket) -> None:
        self._world = world
        self._session = session
        self._socket = socket
        self._line = b""
        self._into: str | None = None

    async def serve(self) -> None:
        """From the handshake to the end of the shell or of the connection."""
        offered = self._socket.scope["subprotocols"]
        await self._socket.accept(PROTOCOL if PROTOCOL in offered else None)
        terminals = self._world.terminals
        terminals.append(self)
        try:
            await self.show(b"$ ")
            await self._talk()
        except WebSocketDisconnect:
            pass
        finally:
            terminals.remove(self)
            if not self._is_kept():
                self._world.delete(self._session)

    def _is_kept(self) -> bool:
        return self._session.kind == "service" or "multiplexer" in self._session.shown

    async def _talk(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                self._resize(json.loads(message["text"]))
            elif event := await self._typed(message["bytes"]):
                await self._end(event)
                return

    def _resize(self, told: dict[str, int]) -> None:
        if not self._world.has("resize ignored"):
            machine = self._session.machine
            machine.columns, machine.rows = told["cols"], told["rows"]

    async def _typed(self, data: bytes) -> str | None:
        """Echo, and run each line that ends; the event when that was the last one."""
        for number in range(len(data)):
            byte = data[number : number + 1]
            if byte in _ENDINGS:
                await self.show(b"\r\n")
                if await self._line_ends():
                    return "exit"
            elif (
                self._line.endswith(_PREFIX)
                and byte == b"d"
                and "multiplexer" in self._session.shown
            ):
                return "detached"
            elif byte == _END_OF_FILE:
                self._into = None
                await self.show(b"$ ")
            else:
                self._line += byte
                await self.show(byte)
        return None

    async def _line_ends(self) -> bool:
        """Run the line, or add it to the file that `cat` writes; whether the shell has ended."""
        line, self._line = self._line, b""
        files = self._session.machine.files
        if self._into is not None:
            files[self._into] += line + b"\n"
            return False
        line, into, name = line.partition(_INTO_FILE)
        ran = commands.run(self._session.machine, line.decode())
        output = (ran.stdout + ran.stderr).replace(b"\n", b"\r\n")
        if self._world.has("output cut") and len(output) > _CUT:
            output = output[:_CUT] + output[-_KEPT:]
        await self.show(output)
        if into:
            self._into = commands.path(name.decode())
            files[self._into] = b""
        elif not ran.ended:
            await self.show(b"$ ")
        return ran.ended

    async def show(self, output: bytes) -> None:
        if self._world.has("output decoded"):
            output = output.decode("utf-8", "replace").encode()
        everywhere = self._world.has("echo to all")
        for terminal in self._world.terminals:
            if terminal is self or (everywhere and output):
                await terminal._socket.send_bytes(output)

    async def _end(self, event: str) -> None:
        if not self._world.has("exit unsaid"):
            await self._socket.send_text(f'{{"type":"{event}"}}')
        await self._socket.close(1011 if self._world.has("close code wrong") else 1000)
