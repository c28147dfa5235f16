"""Programs on a terminal."""

import asyncio
import shlex
import signal

import pytest

from emulator.sandbox.agent import Process, Scope
from emulator.sandbox.frames import StreamId
from tests.sandbox.agent_process import running_agent, scenario, shell

FLOOD = 1_000_000
HANDED_OUT = 1024
"""Bytes that a terminal mostly hands out at once."""
"""Bytes that one reading of a terminal rarely brings more of."""


async def output_until(process: Process, text: bytes) -> bytes:
    seen = b""
    async for _, data in process.output():
        seen += data
        if text in seen:
            break
    return seen


@scenario
async def test_a_terminal_has_a_size_and_is_the_controlling_one() -> None:
    async with running_agent() as agent:
        process = agent.spawn(
            shell("stty size; test -t 0 && test -t 2 && tty </dev/tty", pty=(132, 43))
        )
        seen = (await process.collect()).stdout
    assert seen.startswith(b"43 132\r\n/dev/")


@scenario
async def test_resizing_tells_the_program() -> None:
    async with running_agent() as agent:
        script = "trap 'stty size; exit' WINCH; echo up; while :; do sleep 0.05; done"
        process = agent.spawn(shell(script, pty=(80, 24)))
        await output_until(process, b"up")
        process.resize(100, 50)
        assert b"50 100" in await output_until(process, b"50 100")


@scenario
async def test_keys_are_echoed_and_interrupt() -> None:
    async with running_agent() as agent:
        process = agent.spawn(
            shell("trap 'echo caught' INT; cat; echo over; sleep 60", pty=(80, 24))
        )
        await process.write(b"hello\r")
        assert b"hello\r\nhello\r\n" in await output_until(process, b"hello\r\nhello\r\n")
        await process.write(b"\x03")
        assert b"over" in await output_until(process, b"over")
        process.signal(signal.SIGKILL, Scope.FOREGROUND)
        assert (await process.wait()).signal == signal.SIGKILL


@scenario
async def test_the_end_of_input_is_a_character() -> None:
    async with running_agent() as agent:
        process = agent.spawn(shell("cat; echo over", pty=(80, 24)))
        await process.write(b"line\r")
        await output_until(process, b"line\r\nline\r\n")
        process.write_eof()
        assert b"over" in await output_until(process, b"over")
        assert (await process.wait()).code == 0


@scenario
async def test_a_flooding_terminal_stalls_nobody_else() -> None:
    async with running_agent() as agent:
        flood = agent.spawn(shell("yes", pty=(80, 24), output_limit=None))
        await asyncio.sleep(0.1)
        assert (await agent.spawn(shell("echo hi")).collect()).stdout == b"hi\n"
        flood.close()


@scenario
async def test_what_a_terminal_hands_out_piece_by_piece_is_sent_in_fewer() -> None:
    async with running_agent() as agent:
        script = f"stty raw; head -c {FLOOD} /dev/zero"
        flood = agent.spawn(shell(script, pty=(80, 24), output_limit=None))
        sizes, take = [], flood.on_data

        def counted(stream: StreamId, data: bytes) -> None:
            sizes.append(len(data))
            take(stream, data)

        flood.on_data = counted  # type: ignore[method-assign]
        assert sum([len(data) async for _, data in flood.output()]) == FLOOD
    assert len(sizes) < FLOOD / (2 * HANDED_OUT)


@pytest.mark.parametrize("stays", ["read key", "while echo more; do :; done"])
@scenario
async def test_a_program_ends_though_another_one_stays_on_its_terminal(stays: str) -> None:
    async with running_agent() as agent:
        script = f"setsid sh -c {shlex.quote(stays)} </dev/tty & seq 20000; echo last; exit 7"
        ended = await agent.spawn(shell(script, pty=(80, 24))).collect()
    own = ended.stdout.replace(b"more\r\n", b"")
    assert ended.exit.code == 7
    assert b"\r\n20000\r\nlast\r\n" in own
    assert own.count(b"\n") == 20001


@scenario
async def test_erasing_takes_a_whole_character_away() -> None:
    async with running_agent() as agent:
        process = agent.spawn(shell('read line; echo "($line)"', pty=(80, 24)))
        await process.write("é\x7fe\r".encode())
        assert b"(e)" in (await process.collect()).stdout
