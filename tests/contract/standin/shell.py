"""A shell's WebSocket: a terminal that echoes, and runs a line when it ends."""

from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.contract.standin import commands

PROTOCOL = "unsandbox-shell"
_ENDINGS = (b"\r", b"\n")


async def serve(machine: commands.Machine, socket: WebSocket) -> None:
    """One client, from the handshake until it goes."""
    offered = socket.scope["subprotocols"]
    await socket.accept(PROTOCOL if PROTOCOL in offered else None)
    line = b""
    try:
        while True:
            for byte in await _typed(socket):
                if byte not in _ENDINGS:
                    line += byte
                    await socket.send_bytes(byte)
                    continue
                ran = commands.run(machine, line.decode())
                line = b""
                output = b"\n" + ran.stdout + ran.stderr
                await socket.send_bytes(output.replace(b"\n", b"\r\n") + b"$ ")
    except WebSocketDisconnect:
        pass


async def _typed(socket: WebSocket) -> list[bytes]:
    """What a message types; what it says of the terminal's size is of no account."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect
    typed: bytes = message.get("bytes") or b""
    return [typed[number : number + 1] for number in range(len(typed))]
