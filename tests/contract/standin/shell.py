"""The shell's WebSocket: a terminal that echoes, and runs a line when it ends."""

import json

from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.contract.standin import commands
from tests.contract.standin.world import Thing, World

PROTOCOL = "unsandbox-shell"
_ENDINGS = (b"\r", b"\n")
_CUT = 65_536


class Terminal:
    """One client at one session."""

    def __init__(self, world: World, session: Thing, socket: WebSocket) -> None:
        self._world = world
        self._session = session
        self._socket = socket
        self._line = b""

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
            if self._session.kind == "session" and "multiplexer" not in self._session.shown:
                self._world.delete(self._session)

    async def _talk(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                self._resize(json.loads(message["text"]))
            elif await self._typed(message["bytes"]):
                await self._end()
                return

    def _resize(self, told: dict[str, int]) -> None:
        if not self._world.has("resize ignored"):
            machine = self._session.machine
            machine.columns, machine.rows = told["cols"], told["rows"]

    async def _typed(self, data: bytes) -> bool:
        """Echo, and run each line that ends; whether the shell has ended."""
        for number in range(len(data)):
            byte = data[number : number + 1]
            if byte not in _ENDINGS:
                self._line += byte
                await self.show(byte)
                continue
            await self.show(b"\r\n")
            line, self._line = self._line.decode("utf-8", "replace"), b""
            ran = commands.run(self._session.machine, line)
            output = ran.stdout + ran.stderr
            if self._world.has("output cut"):
                output = output[:_CUT]
            await self.show(output.replace(b"\n", b"\r\n"))
            if ran.ended:
                return True
            await self.show(b"$ ")
        return False

    async def show(self, output: bytes) -> None:
        if self._world.has("output decoded"):
            output = output.decode("utf-8", "replace").encode()
        everywhere = self._world.has("echo to all")
        for terminal in self._world.terminals:
            if terminal is self or (everywhere and output):
                await terminal._socket.send_bytes(output)

    async def _end(self) -> None:
        if not self._world.has("exit unsaid"):
            await self._socket.send_text('{"type":"exit"}')
        await self._socket.close(1011 if self._world.has("close code wrong") else 1000)
