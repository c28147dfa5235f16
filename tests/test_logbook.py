import asyncio
import logging
import threading
from collections.abc import Iterator, Sequence

import pytest

from emulator import logbook
from emulator.clock import Clock
from emulator.errors import ConcurrencyLimited
from emulator.log import NOBODY
from emulator.logbook import FOLLOWERS_MOST, LINE_CHARACTERS, LINES_KEPT, Entry, LogBook, Wanted

MINE = Wanted("mine")
api, pool = logging.getLogger("emulator.api.x"), logging.getLogger("emulator.sandbox.x")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(clock: Clock) -> Iterator[LogBook]:
    root = logging.getLogger("emulator")
    level = root.level
    root.setLevel(logging.DEBUG)
    with LogBook(clock).attached() as made:
        yield made
    root.setLevel(level)


def said(entries: Sequence[Entry]) -> list[str]:
    return [entry.text.partition(": ")[2] for entry in entries]


def test_lines_come_by_source_the_newest_of_each_last(book: LogBook) -> None:
    for number in range(4):
        api.info("api %d", number)
    pool.warning("pool")
    logging.getLogger("emulator.control.access").info("portal")
    logging.getLogger("other").critical("not ours")
    assert said(book.tail(MINE, 2)) == ["api 2", "api 3", "pool", "portal"]
    sources = [entry.source for entry in book.tail(MINE, 1)]
    assert sources == ["api", "pool/local", "portal"]
    assert said(book.tail(Wanted("mine", "pool/local"), 9)) == ["pool"]
    assert said(book.tail(Wanted("mine", "nowhere"), 9)) == []


def test_lines_are_narrowed_by_text_severity_and_age(book: LogBook, clock: Clock) -> None:
    api.debug("a.c")
    api.warning("abc")
    clock.advance(100)
    api.error("(a+)+$ %s", "a" * 100)
    assert said(book.tail(Wanted("mine", grep="a.c"), 9)) == ["a.c"]
    assert len(book.tail(Wanted("mine", grep="(a+)+$"), 9)) == 1
    assert said(book.tail(Wanted("mine", level=logging.WARNING), 9))[0] == "abc"
    assert len(book.tail(Wanted("mine", since=clock.time() - 50), 9)) == 1
    assert len(book.tail(Wanted("mine", since=clock.time() - 150), 9)) == 3


def test_what_belongs_to_an_account_is_shown_to_it_alone(book: LogBook) -> None:
    api.info("mine", extra={"account": "mine"})
    api.info("yours", extra={"account": "yours"})
    api.info("nobody's", extra={"account": NOBODY})
    api.info("of %s", "somebody", extra={"untold": ("...",)})
    assert said(book.tail(MINE, 9)) == ["mine", "of ..."]
    assert said(book.tail(Wanted("yours"), 9)) == ["yours", "of ..."]


def test_traces_are_left_out_and_lines_are_one_line_of_bounded_length(book: LogBook) -> None:
    try:
        raise ValueError("hunter2")
    except ValueError:
        api.exception("failed\n2026-01-01T00:00:00Z INFO forged")
    api.info("sess_%s", "0123456789abcdef" * 2)
    api.info("x" * 5000)
    failed, session, long = book.tail(MINE, 9)
    assert "hunter2" not in failed.text
    assert "\\n2026" in failed.text
    assert session.text.endswith("sess_012345...")
    assert len(long.text) == LINE_CHARACTERS


def test_the_oldest_lines_are_forgotten(book: LogBook) -> None:
    for number in range(LINES_KEPT + 10):
        api.info("%d", number)
    kept = said(book.tail(MINE, 100_000))
    assert (len(kept), kept[0]) == (LINES_KEPT, "10")


def test_a_follower_gets_what_comes_from_any_thread_in_order(book: LogBook) -> None:
    async def follow() -> list[str]:
        api.info("before")
        follower = book.follow(Wanted("mine", grep="new"))
        api.info("new 1")
        api.info("other")
        found = said(await anext(follower))
        thread = threading.Thread(target=lambda: pool.info("new 2"))
        waiting = asyncio.ensure_future(anext(follower))
        await asyncio.sleep(0)
        thread.start()
        found += said(await waiting)
        thread.join()
        follower.close()
        return found

    assert asyncio.run(follow()) == ["new 1", "new 2"]


def test_a_follower_may_begin_in_the_past(book: LogBook, clock: Clock) -> None:
    async def follow() -> list[str]:
        api.info("old")
        clock.advance(100)
        for number in range(1000):
            api.info("%d", number)
        follower = book.follow(Wanted("mine", since=clock.time() - 50))
        found: list[str] = []
        while len(found) < 1000:
            found += said(await anext(follower))
        follower.close()
        return found

    assert asyncio.run(follow()) == [str(number) for number in range(1000)]


def test_a_follower_that_is_too_slow_is_told_what_it_missed(book: LogBook) -> None:
    async def follow() -> list[str]:
        follower = book.follow(MINE)
        api.info("read")
        found = said(await anext(follower))
        for number in range(LINES_KEPT + 1):
            api.info("%d", number)
        found += [entry.text for entry in await anext(follower)][:2]
        follower.close()
        return found

    read, gap, first = asyncio.run(follow())
    assert (read, "missing" in gap, first.rpartition(": ")[2]) == ("read", True, "1")


def test_a_follower_hears_that_nothing_came_whatever_others_are_told(
    book: LogBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logbook, "QUIET_SECONDS", 0.2)

    async def noise() -> None:
        while True:
            api.info("yours", extra={"account": "yours"})
            await asyncio.sleep(0.01)

    async def follow() -> Sequence[Entry]:
        follower = book.follow(MINE)
        noisy = asyncio.ensure_future(noise())
        try:
            async with asyncio.timeout(30):
                return await anext(follower)
        finally:
            noisy.cancel()
            follower.close()

    assert list(asyncio.run(follow())) == []


def test_an_account_follows_so_often_and_no_more_until_one_ends(book: LogBook) -> None:
    async def follow() -> None:
        followers = [book.follow(MINE) for _ in range(FOLLOWERS_MOST)]
        with pytest.raises(ConcurrencyLimited, match="streams"):
            book.follow(MINE)
        book.follow(Wanted("yours")).close()
        followers[0].close()
        followers[0].close()
        followers.append(book.follow(MINE))
        with pytest.raises(ConcurrencyLimited):
            book.follow(MINE)
        book.end_streams()
        assert [[entry async for entry in it] for it in followers] == [[]] * len(followers)
        assert [entry async for entry in book.follow(MINE)] == []

    asyncio.run(follow())


def test_what_is_logged_by_many_threads_at_once_is_all_there(book: LogBook) -> None:
    def work(name: int) -> None:
        for number in range(200):
            api.info("%d-%d", name, number)
            book.tail(MINE, 5)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = book.tail(MINE, 1000)
    assert sorted(said(entries)) == sorted(f"{n}-{m}" for n in range(4) for m in range(200))
    assert [entry.number for entry in entries] == list(range(800))
