"""A program on a terminal in a container, and those who look at it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pyte
import pytest

from emulator.sandbox.agent import AgentLost, ChannelClosed
from emulator.sessions.terminal import TOO_SLOW, Terminal, Viewer
from tests.memory import mebibytes
from tests.sandbox.agent_container import Container
from tests.sandbox.agent_process import scenario
from tests.sandbox.session_container import on_terminal
from tests.sandbox.shell_container import attached, shell_container
from tests.sandbox.terminal import COLUMNS, LINES

MEGABYTES = "stty raw -echo; seq 1000000"
"""A script that writes 6.9 MB."""

NUMBERS = "".join(f"{n}\n" for n in range(1, 1_000_001)).encode()
LITTLE = 8
"""Mebibytes that a process may grow by for other reasons."""


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    with shell_container() as made:
        yield made


@asynccontextmanager
async def terminal(
    container: Container,
    script: str,
    record: Callable[[bytes], None] | None = None,
    stall_seconds: float = 60,
) -> AsyncIterator[Terminal]:
    """A script on a terminal."""
    async with attached(container) as agent:
        process = agent.spawn(on_terminal("bash", "-c", script))
        made = Terminal(process, record, stall_seconds=stall_seconds)
        try:
            yield made
        finally:
            made.close()


async def everything(viewer: Viewer) -> bytes:
    return b"".join([piece async for piece in viewer.output()])


async def until(viewer: Viewer, text: bytes) -> bytes:
    seen = b""
    async for piece in viewer.output():
        seen += piece
        if text in seen:
            return seen
    raise AssertionError(f"the output ended after {seen!r}")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@scenario
async def test_all_viewers_see_all_of_it_in_order_and_it_is_recorded_once(
    container: Container,
) -> None:
    recorded = bytearray()
    async with terminal(container, MEGABYTES, recorded.extend) as shown:
        seen = await asyncio.gather(*(everything(shown.join()) for _ in range(3)))
    assert {digest(one) for one in (*seen, bytes(recorded))} == {digest(NUMBERS)}


@scenario
async def test_what_was_written_while_nobody_was_there_is_for_who_comes_first(
    container: Container,
) -> None:
    recorded = bytearray()
    script = "echo before; read line; echo after"
    async with terminal(container, script, recorded.extend) as shown:
        await asyncio.sleep(0.1)
        assert recorded == b"before\r\n"
        viewer = shown.join()
        await viewer.write(b"\n")
        assert await everything(viewer) == b"before\r\n\r\nafter\r\n"


@scenario
async def test_a_newcomer_sees_what_comes_from_then_on(container: Container) -> None:
    async with terminal(container, "stty -echo; echo one; read line; echo two") as shown:
        first = shown.join()
        await until(first, b"one\r\n")
        second = shown.join()
        await second.write(b"\n")
        assert [await everything(it) for it in (first, second)] == [b"two\r\n"] * 2


@scenario
async def test_all_may_type_and_the_last_size_counts(container: Container) -> None:
    async with terminal(container, "read a; read b; stty size; echo $a-$b") as shown:
        first, second = shown.join(), shown.join()
        first.resize(100, 30)
        second.resize(90, 20)
        await first.write(b"x\n")
        await second.write(b"y\n")
        assert (await everything(first)).endswith(b"20 90\r\nx-y\r\n")


@scenario
async def test_a_full_screen_program_paints_its_screen_anew_for_a_newcomer(
    container: Container,
) -> None:
    async with terminal(container, "seq 1000 | less") as shown:
        first = shown.join()
        await until(first, b"23\r\n")
        second = shown.join()
        screen = pyte.Screen(COLUMNS, LINES)
        stream = pyte.ByteStream(screen)
        async for piece in second.output():
            stream.feed(piece)
            lines = [line.rstrip() for line in screen.display]
            if lines == [*(str(n) for n in range(1, LINES)), ":"]:
                break


@scenario
async def test_who_takes_nothing_while_others_wait_is_dropped(container: Container) -> None:
    async with terminal(container, MEGABYTES, stall_seconds=0.2) as shown:
        idle, reader = shown.join(), shown.join()
        assert digest(await everything(reader)) == digest(NUMBERS)
        assert idle.dropped == TOO_SLOW
        assert reader.dropped is None
        assert shown.viewers == set()
        kept = await everything(idle)
    assert kept
    assert NUMBERS.startswith(kept)


@scenario
async def test_who_is_slow_but_takes_some_is_waited_for(container: Container) -> None:
    async with terminal(container, MEGABYTES, stall_seconds=1) as shown:
        slow, reader = shown.join(), shown.join()
        reading = asyncio.ensure_future(everything(reader))
        seen = b""
        async for piece in slow.output():
            seen += piece
            await asyncio.sleep(0.3 if len(seen) < 2**18 else 0)
        assert digest(seen) == digest(await reading) == digest(NUMBERS)


@scenario
async def test_who_is_alone_is_waited_for_and_little_is_kept(container: Container) -> None:
    before = mebibytes()
    async with terminal(container, "yes", stall_seconds=0.1) as shown:
        viewer = shown.join()
        await asyncio.sleep(0.5)
        assert shown.viewers == {viewer}
        assert mebibytes() - before < LITTLE
        viewer.leave()
        left = await everything(viewer)
        assert left == (b"y\r\n" * len(left))[: len(left)]
        assert len(left) < 2**20


@scenario
async def test_how_it_ended_is_told_to_everybody(container: Container) -> None:
    async with terminal(container, "echo bye; exit 7") as shown:
        viewer = shown.join()
        ends = await asyncio.gather(*(shown.ended for _ in range(3)))
        assert [end.code for end in ends] == [7, 7, 7]
        assert await everything(viewer) == b"bye\r\n"
        assert await everything(shown.join()) == b""
        await viewer.write(b"nobody takes this")
        viewer.resize(10, 10)


@scenario
async def test_a_terminal_that_is_closed_ends_its_program_and_its_viewers(
    container: Container,
) -> None:
    async with terminal(container, "echo on; sleep 60") as shown:
        viewer = shown.join()
        await until(viewer, b"on\r\n")
        typing = asyncio.ensure_future(viewer.write(bytes(2**20)))
        shown.close()
        assert await everything(viewer) == b""
        await typing
        with pytest.raises(ChannelClosed):
            await shown.ended


@scenario
async def test_a_sandbox_that_is_lost_ends_it_for_all(container: Container) -> None:
    async with attached(container) as agent:
        shown = Terminal(agent.spawn(on_terminal("bash", "-c", "echo on; sleep 60")))
        viewer = shown.join()
        await until(viewer, b"on\r\n")
        agent.close()
        assert await everything(viewer) == b""
        for _ in range(2):
            with pytest.raises(AgentLost):
                await shown.ended
        shown.close()
