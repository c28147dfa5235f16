"""Agents that break the protocol: the emulator ends the conversation, and nothing else happens."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.sandbox import frames
from emulator.sandbox.agent import Agent, AgentLost, Exit, Listener, Process, Spawn
from emulator.sandbox.frames import OWN_CHANNELS, PAYLOAD_MAX, WINDOW, Kind, StreamId, Tag, Type
from tests.sandbox.agent_process import scenario

EPOCH = 77
BOOT_ID = frames.field(Tag.BOOT_ID, bytes(16))
HELLO = frames.number(Tag.VERSION, frames.VERSION) + BOOT_ID
PROCESS, TREE, LISTENER, UPLOAD, STREAM = 1, 2, 3, 4, 5
"""The channels that `Hostile` opens, in this order."""


class Recorder:
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.closed = False

    def writelines(self, list_of_data: list[bytes | memoryview]) -> None:
        for data in list_of_data:
            self.sent += data

    def close(self) -> None:
        self.closed = True


class Hostile:
    """An emulator's side with a channel of each kind open, to be fed by hand."""

    def __init__(self, *, output_limit: int | None = None) -> None:
        self.transport = Recorder()
        self.agent = Agent(self.transport, epoch=EPOCH)
        self.greeting = asyncio.ensure_future(self.agent.hello())
        self.output_limit = output_limit
        self.waiters: list[asyncio.Future[object]] = []
        self.process: Process

    async def greet(self) -> None:
        await asyncio.sleep(0)
        self.say(Type.HELLO, 0, HELLO)
        await self.greeting
        spawn = Spawn(argv=["x"], uid=1, gid=1, output_limit=self.output_limit)
        self.process = self.agent.spawn(spawn)
        tree = self.agent.read_tree("/x", uid=1, gid=1, max_files=2, max_bytes=1000)
        listening = self.agent.listen(80)
        upload = self.agent.write_file("x", b"x", uid=1, gid=1)
        waits = (self.process.wait(), tree, listening, upload, self.agent.connect(1))
        self.waiters = [asyncio.ensure_future(wait) for wait in waits]
        self.waiters.append(asyncio.ensure_future(self.agent.ping()))
        await asyncio.sleep(0)

    def say(
        self, type_: int, channel: int, payload: bytes = b"", flags: int = 0, epoch: int = EPOCH
    ) -> None:
        self.agent.feed(frames.encode(type_, channel, epoch, payload, flags))

    async def end(self) -> list[object]:
        self.agent.lose("the test is over")
        self.greeting.cancel()
        ends = await asyncio.gather(self.greeting, *self.waiters, return_exceptions=True)
        return ends[1:]


def record(path: bytes, size: int) -> bytes:
    header = (0).to_bytes(4, "little") + size.to_bytes(8, "little")
    return header + len(path).to_bytes(2, "little") + path


def announced(listener: int) -> bytes:
    return frames.number(Tag.KIND, Kind.ACCEPTED) + frames.number(Tag.LISTENER, listener)


def said(*frame: object) -> Callable[[Hostile], None]:
    return lambda hostile: hostile.say(*frame)  # type: ignore[arg-type]


def many(*steps: Callable[[Hostile], None]) -> Callable[[Hostile], None]:
    def run(hostile: Hostile) -> None:
        for step in steps:
            step(hostile)

    return run


VIOLATIONS: dict[str, Callable[[Hostile], None]] = {
    "garbage between frames": lambda hostile: hostile.agent.feed(b"garbage"),
    "a wrong checksum": lambda hostile: hostile.agent.feed(b"UB" + bytes(14) + b"\1\1\1\1"),
    "a frame on a channel that never was": said(Type.DATA, 99, b"x", 1),
    "an unknown type": said(200, PROCESS),
    "an unknown type on channel 0": said(200, 0),
    "a second greeting": said(Type.HELLO, 0, HELLO),
    "an answer to no ping": said(Type.PONG, 0, b"12345678"),
    "an error on channel 0": said(Type.ERROR, 0, frames.text(Tag.TEXT, "broken")),
    "data on a stream that is none": said(Type.DATA, PROCESS, b"x", 3),
    "data on stdin": said(Type.DATA, PROCESS, b"x", 0),
    "stderr of a tree": said(Type.DATA, TREE, b"x", 2),
    "data on an upload": said(Type.DATA, UPLOAD, b"x", 1),
    "data without bytes": said(Type.DATA, PROCESS, b"", 1),
    "data after the end of its stream": many(
        said(Type.EOF, PROCESS, b"", 1), said(Type.DATA, PROCESS, b"x", 1)
    ),
    "data without credit": many(
        *[said(Type.DATA, PROCESS, bytes(PAYLOAD_MAX), 1)] * (WINDOW // PAYLOAD_MAX),
        said(Type.DATA, PROCESS, b"x", 2),
    ),
    "two ends of one stream": many(*[said(Type.EOF, PROCESS, b"", 1)] * 2),
    "credit beyond the window": said(Type.CREDIT, PROCESS, b"\1\0\0\0"),
    "credit of no bytes": said(Type.CREDIT, PROCESS, bytes(4)),
    "credit that is no number": said(Type.CREDIT, PROCESS, b"\1"),
    "two starts": many(*[said(Type.OPENED, PROCESS)] * 2),
    "the start of a tree": said(Type.OPENED, TREE),
    "a start with cut fields": said(Type.OPENED, PROCESS, b"\1\2"),
    "an end with cut fields": said(Type.EXIT, PROCESS, b"\1\2"),
    "an impossible exit code": said(Type.EXIT, PROCESS, frames.number(Tag.CODE, 256)),
    "an impossible signal": said(Type.EXIT, PROCESS, frames.number(Tag.SIGNAL, 200)),
    "an error with cut fields": said(Type.ERROR, PROCESS, b"\1\2"),
    "a report for a process": said(Type.REPORT, PROCESS),
    "an end of a connection for a process": said(Type.CLOSE, PROCESS),
    "two ends": many(*[said(Type.EXIT, PROCESS, frames.number(Tag.CODE, 0))] * 2),
    "a path that leaves its root": said(Type.DATA, TREE, record(b"../x", 0) + b"\0", 1),
    "an absolute path": said(Type.DATA, TREE, record(b"/etc/passwd", 0) + b"\0", 1),
    "a path with a NUL": said(Type.DATA, TREE, record(b"a\0b", 0) + b"\0", 1),
    "an endless path": said(Type.DATA, TREE, record(b"x" * 5000, 0), 1),
    "more bytes than asked for": said(Type.DATA, TREE, record(b"x", 1001), 1),
    "more files than asked for": said(Type.DATA, TREE, (record(b"x", 0) + b"\0") * 3, 1),
    "a tree that is cut short": many(
        said(Type.DATA, TREE, record(b"x", 10), 1),
        said(Type.EXIT, TREE, frames.number(Tag.CODE, 0)),
    ),
    "a connection nobody listens for": said(Type.OPEN, OWN_CHANNELS, announced(99)),
    "a connection on a process": said(Type.OPEN, OWN_CHANNELS, announced(PROCESS)),
    "a connection with an id of ours": said(Type.OPEN, 50, announced(LISTENER)),
    "a connection that comes twice": many(
        *[said(Type.OPEN, OWN_CHANNELS, announced(LISTENER))] * 2
    ),
    "a connection of no kind": said(Type.OPEN, OWN_CHANNELS, b""),
    "too many connections": many(
        *(said(Type.OPEN, OWN_CHANNELS + number, announced(LISTENER)) for number in range(65))
    ),
}


@pytest.mark.parametrize("violation", VIOLATIONS.values(), ids=VIOLATIONS)
@scenario
async def test_a_violation_ends_the_agent(violation: Callable[[Hostile], None]) -> None:
    hostile = Hostile()
    await hostile.greet()
    violation(hostile)
    assert str(hostile.agent.closed.result()).startswith("protocol violation: ")
    assert hostile.transport.closed
    for end in await hostile.end():
        assert isinstance(end, (AgentLost, Exit, Listener))
    with pytest.raises(AgentLost):
        hostile.agent.spawn(Spawn(argv=["x"], uid=1, gid=1))


@scenario
async def test_output_beyond_its_limit_is_a_violation() -> None:
    hostile = Hostile(output_limit=10)
    await hostile.greet()
    hostile.say(Type.DATA, PROCESS, b"0123456789", 1)
    hostile.say(Type.DATA, PROCESS, b"0123456789", 2)
    assert not hostile.agent.closed.done()
    hostile.say(Type.DATA, PROCESS, b"x", 1)
    assert hostile.agent.closed.done()
    await hostile.end()


@pytest.mark.parametrize(
    "first",
    [
        (Type.DATA, 1, b"x"),
        (Type.HELLO, 1, HELLO),
        (Type.HELLO, 0, b""),
        (Type.HELLO, 0, frames.number(Tag.VERSION, 9) + BOOT_ID),
        (Type.ERROR, 0, frames.text(Tag.TEXT, "no")),
    ],
)
@scenario
async def test_what_is_no_greeting_ends_the_agent(first: tuple[int, int, bytes]) -> None:
    hostile = Hostile()
    await asyncio.sleep(0)
    hostile.say(*first)
    with pytest.raises(AgentLost):
        await hostile.greeting
    await hostile.end()


@scenario
async def test_frames_of_another_epoch_are_dropped() -> None:
    hostile = Hostile()
    hostile.say(Type.DATA, 1, b"old", epoch=EPOCH - 1)
    await hostile.greet()
    hostile.say(Type.DATA, 99, b"old", epoch=EPOCH - 1)
    assert not hostile.agent.closed.done()
    await hostile.end()


@scenario
async def test_a_lost_agent_tells_every_waiter() -> None:
    hostile = Hostile(output_limit=10)
    await hostile.greet()
    hostile.waiters += [
        asyncio.ensure_future(hostile.process.write(bytes(2 * WINDOW))),
        asyncio.ensure_future(hostile.process.collect()),
        asyncio.ensure_future(hostile.process.started()),
        asyncio.ensure_future(hostile.agent.clean([])),
    ]
    await asyncio.sleep(0)
    hostile.agent.lose("gone")
    assert [str(end) for end in await hostile.end()] == ["gone"] * 10
    assert str(await hostile.agent.closed) == "gone"


@scenario
async def test_nothing_follows_a_channel_closed_here() -> None:
    """What was under way when the channel was closed is dropped, until its end is confirmed."""
    hostile = Hostile()
    await hostile.greet()
    hostile.process.close()
    hostile.say(Type.DATA, PROCESS, bytes(10), 1)
    hostile.say(Type.CLOSE, PROCESS)
    assert not hostile.agent.closed.done()
    hostile.say(Type.DATA, PROCESS, bytes(10), 1)
    assert hostile.agent.closed.done()
    await hostile.end()


@scenario
async def test_output_in_tiny_pieces_takes_no_more_memory() -> None:
    hostile = Hostile()
    await hostile.greet()
    for number in range(20_000):
        hostile.say(Type.DATA, PROCESS, bytes((number % 256,)), 1 + number % 2)
    assert len(hostile.process._inlet._pieces) < 2000
    pieces = hostile.process.output()
    for stream in StreamId.OUT, StreamId.ERR:
        hostile.say(Type.EOF, PROCESS, b"", stream)
    hostile.say(Type.EXIT, PROCESS, frames.number(Tag.CODE, 0))
    seen = [(stream, data) async for stream, data in pieces]
    for stream in StreamId.OUT, StreamId.ERR:
        said = bytes(number % 256 for number in range(20_000) if 1 + number % 2 == stream)
        assert b"".join(data for of, data in seen if of == stream) == said
    await hostile.end()


frame_parts = st.tuples(
    st.sampled_from([*Type, 0, 99]),
    st.sampled_from([0, 1, 2, 3, 4, 5, 6, OWN_CHANNELS, OWN_CHANNELS + 1]),
    st.one_of(
        st.binary(max_size=40),
        st.lists(st.tuples(st.sampled_from(Tag), st.binary(max_size=8)), max_size=4).map(
            lambda sent: b"".join(frames.field(tag, value) for tag, value in sent)
        ),
        st.just(announced(LISTENER)),
        st.just(record(b"x", 3) + b"abc\0"),
        st.just(b"\1\0\0\0"),
    ),
    st.integers(0, 3),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(frame_parts, st.binary(max_size=50)), max_size=12))
def test_anything_at_all_is_taken_without_an_error(
    script: list[tuple[int, int, bytes, int] | bytes],
) -> None:
    @scenario
    async def play() -> None:
        hostile = Hostile()
        await hostile.greet()
        for step in script:
            if isinstance(step, bytes):
                hostile.agent.feed(step)
            else:
                hostile.say(*step)
        kept = sum(len(data) for _, data in hostile.process._inlet._pieces)
        assert kept <= WINDOW
        await hostile.end()

    play()
