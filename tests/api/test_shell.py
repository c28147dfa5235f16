"""The WebSocket of a shell, in a container, seen by a client."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from emulator import listeners, spec_file
from emulator.api import shell
from emulator.api.shell import PROTOCOL, TYPED_MOST, Resize, converse
from emulator.listeners import address, bind, serving
from emulator.paths import SPEC
from emulator.sandbox.agent import Agent, AgentError, Process, Spawn
from emulator.sessions.ending import Ending
from emulator.sessions.terminal import TOO_SLOW, Terminal
from tests.memory import mebibytes
from tests.sandbox.agent_container import Container
from tests.sandbox.agent_process import scenario
from tests.sandbox.session_container import on_terminal
from tests.sandbox.shell_container import attached, shell_container

PASTED = b"".join(n.to_bytes(4, "big") for n in range(2_500_000))
"""10 MB, nowhere the same."""

FRAME = 4096
LITTLE = 10
"""Mebibytes that a process may grow by for other reasons."""


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    with shell_container() as made:
        yield made


@dataclass
class Served:
    """A script on a terminal, behind a WebSocket; `results` are what its conversations gave."""

    url: str
    process: Process
    terminal: Terminal
    agent: Agent
    ending: "asyncio.Future[Ending]"
    results: "asyncio.Queue[Ending | None]" = field(default_factory=asyncio.Queue)

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[ClientConnection]:  # noqa: ANN401
        options = {"subprotocols": [Subprotocol(PROTOCOL)], "max_size": None, **options}
        async with connect(self.url, compression=None, ping_interval=None, **options) as socket:
            yield socket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        self.results.put_nowait(await converse(socket, self.terminal.join(), self.ending))

    async def end(self) -> None:
        """As a plain session tells it."""
        with contextlib.suppress(AgentError):
            await self.terminal.ended
            if not self.ending.done():
                self.ending.set_result(Ending("exit"))


@asynccontextmanager
async def served(container: Container, script: str, **options: Any) -> AsyncIterator[Served]:  # noqa: ANN401
    async with attached(container) as agent:
        process = agent.spawn(on_terminal("bash", "-c", script))
        terminal = Terminal(process, **options)
        ending = asyncio.get_running_loop().create_future()
        with bind("127.0.0.1", 0) as listener:
            made = Served(address(listener, "ws"), process, terminal, agent, ending)
            watch = asyncio.ensure_future(made.end())
            async with serving(made, listener):
                yield made
            watch.cancel()
            terminal.close()


async def until(socket: ClientConnection, text: bytes) -> bytes:
    seen = b""
    while text not in seen:
        frame = await socket.recv()
        assert isinstance(frame, bytes), frame
        seen += frame
    return seen


async def everything(socket: ClientConnection) -> tuple[bytes, list[str]]:
    """All output, and all events, which come after it, to the connection's end."""
    output, events = b"", list[str]()
    with contextlib.suppress(ConnectionClosed):
        while True:
            frame = await socket.recv()
            if isinstance(frame, str):
                events.append(frame)
            else:
                assert events == []
                output += frame
    return output, events


@scenario
async def test_keys_are_echoed_interrupt_and_end(container: Container) -> None:
    script = "trap 'echo caught' INT; cat; echo over; sleep 60"
    async with served(container, script) as it, it.client() as socket:
        await socket.send(b"hello\r")
        await until(socket, b"hello\r\nhello\r\n")
        await socket.send(b"\x03")
        await until(socket, b"over\r\n")


@scenario
async def test_the_sub_protocol_is_agreed_where_it_is_offered(container: Container) -> None:
    async with served(container, "cat") as it:
        for offered in ([PROTOCOL], ["chat", PROTOCOL], ["chat"], None):
            async with it.client(subprotocols=offered) as socket:
                assert socket.subprotocol == (PROTOCOL if PROTOCOL in (offered or ()) else None)


@scenario
async def test_the_terminal_gets_the_size_that_is_told(container: Container) -> None:
    async with (
        served(container, "while read line; do stty size; done") as it,
        it.client() as socket,
    ):
        await socket.send('{"type":"resize","cols":132,"rows":43}')
        await socket.send(b"\n")
        await until(socket, b"43 132\r\n")
        await socket.send('{"rows": 1, "cols": 1000, "type": "resize", "unheard-of": null}')
        await socket.send(b"\n")
        await until(socket, b"1 1000\r\n")


MEANINGLESS = (
    "",
    "{",
    "[]",
    "null",
    '"resize"',
    "[" * 100_000,
    '{"type":"resize","cols":80,"rows":24,"more":' + "[" * 100_000,
    "{}",
    '{"type":"resize"}',
    '{"type":"resize","cols":80}',
    '{"type":"resize","cols":0,"rows":24}',
    '{"type":"resize","cols":80,"rows":1001}',
    '{"type":"resize","cols":80.5,"rows":24}',
    '{"type":"resize","cols":"80","rows":24}',
    '{"type":"resize","cols":true,"rows":24}',
    '{"type":"exit"}',
    '{"type":7,"cols":80,"rows":24}',
)


@scenario
async def test_a_text_frame_that_says_nothing_is_answered_and_forgotten(
    container: Container,
) -> None:
    script = "stty -echo; read line; stty size"
    async with served(container, script) as it, it.client() as socket:
        for text in MEANINGLESS:
            await socket.send(text)
            event = json.loads(await socket.recv())
            assert event.keys() == {"type", "message"}, text
            assert event["type"] == "error", text
        await socket.send(b"\n")
        output, events = await everything(socket)
    assert output.endswith(b"24 80\r\n")
    assert events == ['{"type":"exit"}']


def test_the_bounds_of_a_size_are_the_contract_s() -> None:
    _, document = spec_file.load(SPEC, None)
    declared = document["components"]["schemas"]["ShellResize"]
    own = msgspec.json.schema(Resize)["$defs"]["Resize"]
    assert set(own["required"]) == set(declared["required"])
    for name in ("cols", "rows"):
        assert own["properties"][name] == declared["properties"][name]


@scenario
async def test_characters_may_come_in_pieces(container: Container) -> None:
    async with served(container, "stty -echo; cat") as it, it.client() as socket:
        for byte in "€\n".encode():
            await socket.send(bytes((byte,)))
        await until(socket, "€\r\n".encode())


@scenario
async def test_all_that_is_pasted_arrives(container: Container) -> None:
    script = f"stty raw -echo; echo ready; head -c {len(PASTED)} | sha256sum"
    async with served(container, script) as it, it.client() as socket:
        await until(socket, b"ready")
        for at in range(0, len(PASTED), FRAME):
            await socket.send(PASTED[at : at + FRAME])
        output, events = await everything(socket)
    assert hashlib.sha256(PASTED).hexdigest().encode() in output
    assert events == ['{"type":"exit"}']


@scenario
async def test_all_output_comes_before_the_end_to_every_client(container: Container) -> None:
    script = "stty raw -echo; echo on; read line; seq 1400000; exit 3"
    async with served(container, script) as it, it.client() as first:
        await until(first, b"on\n")
        async with it.client() as second:
            await second.send(b"\n")
            seen = await asyncio.gather(everything(first), everything(second))
            assert [first.close_code, second.close_code] == [1000, 1000]
    numbers = "".join(f"{n}\n" for n in range(1, 1_400_001)).encode()
    for output, events in seen:
        assert hashlib.sha256(output).hexdigest() == hashlib.sha256(numbers).hexdigest()
        assert events == ['{"type":"exit"}']


@pytest.mark.parametrize(
    ("ending", "event", "code"),
    [
        (Ending("exit"), '{"type":"exit"}', 1000),
        (Ending("detached"), '{"type":"detached"}', 1000),
        (Ending("error", 'a "reason"'), '{"type":"error","message":"a \\"reason\\""}', 1011),
    ],
)
@scenario
async def test_an_end_that_is_told_while_the_program_runs(
    container: Container, ending: Ending, event: str, code: int
) -> None:
    async with served(container, "echo on; sleep 60") as it, it.client() as socket:
        await until(socket, b"on\r\n")
        it.ending.set_result(ending)
        assert await everything(socket) == (b"", [event])
        assert socket.close_code == code
        assert await it.results.get() == ending


@scenario
async def test_a_sandbox_that_is_lost_ends_it(container: Container) -> None:
    async with served(container, "echo on; sleep 60") as it, it.client() as socket:
        await until(socket, b"on\r\n")
        it.agent.close()
        it.ending.set_result(Ending("error", "gone"))
        assert await everything(socket) == (b"", ['{"type":"error","message":"gone"}'])
        assert socket.close_code == 1011


@scenario
async def test_what_was_typed_right_before_going_is_typed(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "LAST_KEYS_SECONDS", 20)
    typed = PASTED[: TYPED_MOST - FRAME]
    script = f"stty raw -echo; echo on; sleep 0.2; head -c {len(typed)} | sha256sum"
    async with served(container, script) as it, it.client() as socket:
        await until(socket, b"on\n")
        other = it.terminal.join()
        for at in range(0, len(typed), FRAME):
            await socket.send(typed[at : at + FRAME])
        await socket.close()
        seen = b"".join([piece async for piece in other.output()])
    assert hashlib.sha256(typed).hexdigest().encode() in seen


@pytest.fixture
def no_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is noticed then is not noticed by them."""
    monkeypatch.setattr(listeners, "PING_SECONDS", 3600)


async def vanish(socket: ClientConnection) -> None:
    socket.transport.abort()


GOING: dict[str, Callable[[ClientConnection], Any]] = {
    "closing": lambda socket: socket.close(),
    "vanishing": vanish,
}


@pytest.mark.usefixtures("no_pings")
@pytest.mark.parametrize("how", GOING)
@scenario
async def test_a_client_that_goes_ends_it(container: Container, how: str) -> None:
    async with served(container, "echo on; sleep 60") as it, it.client() as socket:
        await until(socket, b"on\r\n")
        await GOING[how](socket)
        assert await it.results.get() is None
        assert it.terminal.viewers == set()


@pytest.mark.usefixtures("no_pings")
@scenario
async def test_a_client_that_goes_is_noticed_while_nobody_takes_what_it_typed(
    container: Container,
) -> None:
    async with served(container, "stty raw -echo; echo on; sleep 60") as it, it.client() as socket:
        await until(socket, b"on\n")
        for at in range(0, TYPED_MOST, FRAME):
            await socket.send(PASTED[at : at + FRAME])
        await vanish(socket)
        assert await it.results.get() is None


@scenario
async def test_a_client_that_goes_is_noticed_though_nothing_is_read_from_it(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "PING_SECONDS", 0.1)
    async with served(container, "stty raw -echo; echo on; sleep 60") as it, it.client() as socket:
        await until(socket, b"on\n")
        before = mebibytes()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while True:
                    await socket.send(PASTED[:65_536])
        assert mebibytes() - before < LITTLE
        await vanish(socket)
        assert await it.results.get() is None


@pytest.mark.usefixtures("no_pings")
@scenario
async def test_a_flood_that_is_not_read_holds_up_nobody_and_is_not_kept(
    container: Container,
) -> None:
    async with served(container, "yes", stall_seconds=0.1) as it, it.client() as socket:
        before = mebibytes()
        socket.transport.pause_reading()
        await asyncio.sleep(0.5)
        hello = Spawn(argv=["/bin/echo", "hi"], uid=0, gid=0, output_limit=10)
        assert (await it.agent.spawn(hello).collect()).stdout == b"hi\n"
        assert mebibytes() - before < LITTLE
        assert len(it.terminal.viewers) == 1
        await vanish(socket)
        assert await it.results.get() is None


@scenario
async def test_who_does_not_read_is_left_behind_by_others_and_told_so(
    container: Container,
) -> None:
    script = "stty raw -echo; read line; seq 2500000"
    async with (
        served(container, script, stall_seconds=0.2) as it,
        it.client() as idle,
        it.client() as reader,
    ):
        idle.transport.pause_reading()
        await reader.send(b"\n")
        output, events = await everything(reader)
        assert events == ['{"type":"exit"}']
        idle.transport.resume_reading()
        beginning, events = await everything(idle)
    assert output.startswith(beginning)
    assert len(beginning) < len(output)
    assert events == [f'{{"type":"detached","message":"{TOO_SLOW}"}}']
    assert idle.close_code == 1000


@pytest.mark.usefixtures("no_pings")
@scenario
async def test_who_does_not_read_how_it_ended_is_not_waited_for_long(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "FAREWELL_SECONDS", 0.1)
    async with served(container, "stty raw; cat /dev/zero") as it, it.client() as socket:
        await until(socket, b"\0")
        socket.transport.pause_reading()
        await asyncio.sleep(1)  # all buffers on the way are full then
        it.ending.set_result(Ending("detached"))
        assert await it.results.get() is None
        await vanish(socket)
