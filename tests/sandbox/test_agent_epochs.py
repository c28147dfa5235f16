"""Emulators come and go, agents stay: greetings, resynchronisation, kept processes."""

import asyncio
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.sandbox import frames
from emulator.sandbox.agent import Agent, SpawnFailed
from emulator.sandbox.frames import Fields, Frame, Tag, Type
from tests.sandbox.agent_process import PipeProtocol, raw_agent, running_agent, scenario, shell


def replace(protocol: PipeProtocol) -> Agent:
    """Another emulator at the same stream; the one before it just stops."""
    protocol.agent = Agent(protocol.agent._transport)
    return protocol.agent


@scenario
async def test_an_agent_says_nothing_unasked() -> None:
    async with raw_agent() as protocol:
        heard: list[bytes] = []
        protocol.agent.feed = lambda data: heard.append(bytes(data))  # type: ignore[method-assign]
        protocol.agent.send(Type.PING, 0, b"before HELLO")
        await asyncio.sleep(0.2)
        assert heard == []


@scenario
async def test_a_boot_id_names_one_agent() -> None:
    async with raw_agent() as protocol:
        first = await protocol.agent.hello()
        again = await replace(protocol).hello()
    async with raw_agent() as other:
        third = await other.agent.hello()
    assert first.boot_id == again.boot_id != third.boot_id
    assert len(first.boot_id) == 16


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=300), st.integers(min_value=0, max_value=90_000))
def test_a_stream_cut_anywhere_recovers(garbage: bytes, cut: int) -> None:
    """Whatever a dead emulator left half sent, the next one is understood."""

    @scenario
    async def recover() -> None:
        async with raw_agent() as protocol:
            await protocol.agent.hello()
            epoch = protocol.agent._epoch
            frame = frames.encode(Type.DATA, 1, epoch, bytes(frames.PAYLOAD_MAX))
            protocol.agent._transport.writelines([frame[: cut % len(frame)], garbage])
            second = replace(protocol)
            await second.hello()
            await second.ping()

    recover()


@scenario
async def test_a_new_epoch_ends_what_is_not_kept() -> None:
    async with raw_agent() as protocol:
        await protocol.agent.hello()
        pid = await protocol.agent.spawn(shell("exec sleep 60")).started()
        second = replace(protocol)
        assert (await second.hello()).kept == ()
        probe = shell(f"kill -0 {pid} 2>/dev/null && grep -v Z /proc/{pid}/status | grep State")
        while (await second.spawn(probe).collect()).stdout:
            pass
        await second.ping()


@scenario
async def test_a_kept_process_is_adopted_with_its_output() -> None:
    async with raw_agent() as protocol:
        await protocol.agent.hello()
        script = "echo one; read line; echo $line; head -c 1000000 /dev/zero; exit 7"
        process = protocol.agent.spawn(shell(script, stdin=True, key="k"))
        assert (await anext(process.output()))[1] == b"one\n"
        second = replace(protocol)
        assert (await second.hello()).kept == ("k",)
        adopted = second.adopt("k")
        await adopted.started()
        await adopted.write(b"two\n")
        seen = b"".join([data async for _, data in adopted.output()])
        assert seen == b"two\n" + bytes(1_000_000)
        assert (await adopted.wait()).code == 7


@scenario
async def test_the_end_of_a_kept_process_waits_for_whoever_adopts_it() -> None:
    async with raw_agent() as protocol:
        await protocol.agent.hello()
        await protocol.agent.spawn(shell("sleep 0.1; echo last; exit 5", key="k")).started()
        await replace(protocol).hello()
        await asyncio.sleep(0.3)
        third = replace(protocol)
        assert (await third.hello()).kept == ("k",)
        adopted = third.adopt("k")
        assert b"".join([data async for _, data in adopted.output()]) == b"last\n"
        assert (await adopted.wait()).code == 5
        fourth = replace(protocol)
        assert (await fourth.hello()).kept == ()


@scenario
async def test_only_a_detached_process_is_adopted() -> None:
    async with running_agent() as agent:
        kept = agent.spawn(shell("sleep 60", key="k"))
        await kept.started()
        with pytest.raises(SpawnFailed, match="attached"):
            await agent.adopt("k").wait()
        with pytest.raises(SpawnFailed, match="no kept process"):
            await agent.adopt("other").wait()
        with pytest.raises(SpawnFailed, match="in use"):
            await agent.spawn(shell(":", key="k")).wait()
        kept.signal(signal.SIGKILL)
        assert (await kept.wait()).signal == signal.SIGKILL


@pytest.mark.parametrize(
    ("version", "window", "complaint"),
    [
        (99, frames.WINDOW, "version"),
        (frames.VERSION, 1, "window"),
        (frames.VERSION, 1 << 30, "window"),
    ],
)
@scenario
async def test_a_greeting_of_another_kind_is_refused(
    version: int, window: int, complaint: str
) -> None:
    async with raw_agent() as protocol:
        heard: asyncio.Queue[Frame] = asyncio.Queue()
        decoder = frames.Decoder()

        def listen(data: bytes | memoryview) -> None:
            for frame in decoder.feed(data):
                heard.put_nowait(frame)

        protocol.agent.feed = listen  # type: ignore[method-assign]
        payload = frames.number(Tag.VERSION, version) + frames.number(Tag.WINDOW, window)
        protocol.agent._transport.writelines([frames.encode(Type.HELLO, 0, 5, payload)])
        answer = await heard.get()
        assert (answer.type, answer.channel, answer.epoch) == (Type.ERROR, 0, 5)
        assert complaint in Fields(answer.payload).text(Tag.TEXT)
        assert (await replace(protocol).hello()).boot_id
