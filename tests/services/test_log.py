"""Logs of services as files: their bound, and who follows them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from emulator.services import log
from emulator.services.log import ServiceLogs

SERVICE = "unsb-service-" + 32 * "a"


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServiceLogs:
    monkeypatch.setattr(log, "HALF_BYTES", 100)
    return ServiceLogs(tmp_path / "logs")


async def heard(pieces: AsyncIterator[bytes], count: int) -> bytes:
    """The next pieces, until they are so many bytes."""
    got = b""
    while len(got) < count:
        got += await anext(pieces)
    return got


def test_who_follows_hears_what_there_is_and_all_that_comes(logs: ServiceLogs) -> None:
    """Also over the change from one file to the next."""

    async def scenario() -> None:
        await logs.write(SERVICE, b"before\n")
        written = [b"%03d\n" % number for number in range(200)]
        async with aclosing(logs.follow(SERVICE)) as pieces:
            assert await anext(pieces) == b"before\n"
            for at in range(0, 200, 10):
                for line in written[at : at + 10]:
                    await logs.write(SERVICE, line)
                assert await heard(pieces, 40) == b"".join(written[at : at + 10])
            coming = asyncio.create_task(heard(pieces, 1))
            await asyncio.sleep(0)
            await logs.write(SERVICE, b"last")
            assert await coming == b"last"

    asyncio.run(scenario())


def test_a_log_may_be_followed_before_anything_is_in_it(logs: ServiceLogs) -> None:
    async def scenario() -> None:
        async with aclosing(logs.follow(SERVICE)) as pieces:
            assert await anext(pieces) == b""
            await logs.write(SERVICE, b"first")
            assert await anext(pieces) == b"first"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [(0, b""), (1, b"c"), (2, b"b\nc"), (3, b"a\nb\nc"), (9, b"a\nb\nc")],
)
def test_the_last_lines_are_so_many(lines: int, wanted: bytes) -> None:
    assert log.last(b"a\nb\nc", lines) == wanted
    assert log.last(b"a\nb\nc\n", lines) == (wanted + b"\n" if lines else b"")
    assert log.last(b"", lines) == b""
