"""What the pool does with containers: how many there are, who gets which, when they go."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.clock import Clock
from emulator.paths import RUNTIMES
from emulator.sandbox import pool as pools
from emulator.sandbox import starting
from emulator.sandbox.engine import EngineError
from emulator.sandbox.frames import Type
from emulator.sandbox.pool import Figures, Policy, Pool, StartFailed
from emulator.sandbox.runtimes import Catalogue
from emulator.sandbox.users import FIRST_UID, LAST_UID, Users
from tests.client import Client
from tests.sandbox.agent_process import scenario
from tests.sandbox.scripted import EMPTY, Script, ScriptedSandboxes
from tests.server import running, settings

CATALOGUE = {runtime.name: runtime for runtime in Catalogue.load(RUNTIMES)}
BASH, C, PYTHON = (CATALOGUE[name] for name in ("bash", "c", "python"))
MODE = "zerotrust"
POLICY = Policy(size=1, most=3, concurrency=2, runs=1000, idle_seconds=60)


@asynccontextmanager
async def pooled(
    policy: Policy = POLICY, script: Script | None = None
) -> AsyncIterator[tuple[Pool, ScriptedSandboxes, Clock]]:
    """A pool that keeps containers of bash, and all that is below it."""
    clock = Clock()
    sandboxes = ScriptedSandboxes(clock, script)
    pool = Pool(sandboxes, policy, clock)
    try:
        pool.warm(BASH, MODE)
        await pool.warmed()
        yield pool, sandboxes, clock
    finally:
        await pool.close()
    assert sandboxes.alive == {}


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about")


async def quiet(pool: Pool) -> Figures:
    """The figures once nothing runs or is cleaned or started."""
    await until(lambda: not pool.figures().allocated + pool.figures().spawning)
    return pool.figures()


async def use(pool: Pool) -> str:
    """The container of one run."""
    async with pool.lease(BASH, MODE) as sandbox:
        container_id = sandbox.container_id
    await quiet(pool)
    return container_id


def test_without_warm_containers_a_run_starts_its_own(tmp_path: Path) -> None:
    with running(settings(tmp_path, languages="bash", pool_size="0")) as server:
        client = Client(server.api)
        assert client.get("/cluster").json()["available"] == 0
        assert client.execute("bash", "echo cold")["stdout"] == "cold\n"
        client.close()


# --- cleaning ----------------------------------------------------------------------------------

DIRT = {
    "a process": Script(processes=1),
    "an IPC object": Script(ipc=1),
    "a socket": Script(sockets=1),
    "an entry": Script(mounts=[EMPTY, (0, 1, 1)]),
    "bytes without an entry": Script(mounts=[(4096, 1, 0), EMPTY]),
    "an inode without an entry": Script(mounts=[EMPTY, (0, 2, 0)]),
    "a mount that is not told of": Script(mounts=[EMPTY]),
    "a mount too many": Script(mounts=[EMPTY] * 3),
    "more than the time for it": Script(takes=starting.CLEAN_SECONDS + 0.01),
    "no answer": Script(deaf_to=frozenset({Type.CLEAN})),
}


@pytest.mark.parametrize("name", DIRT)
@scenario
async def test_what_a_run_left_costs_the_container(name: str) -> None:
    async with pooled(script=DIRT[name]) as (pool, sandboxes, _):
        used = await use(pool)
        assert used not in sandboxes.alive
        assert await use(pool) != used


@scenario
async def test_a_clean_container_serves_the_next_run_as_another_user() -> None:
    async with pooled() as (pool, sandboxes, _):
        users = []
        for _ in range(3):
            async with pool.lease(BASH, MODE) as sandbox:
                users.append(sandbox.user)
            await quiet(pool)
        assert len(set(users)) == 3
        assert list(sandboxes.alive) == ["bash-0"]


@scenario
async def test_with_one_run_each_no_container_is_used_again() -> None:
    async with pooled(replace(POLICY, runs=1)) as (pool, _, _):
        assert len({await use(pool) for _ in range(3)}) == 3


@scenario
async def test_a_bounded_number_of_runs_is_served() -> None:
    async with pooled(replace(POLICY, runs=2)) as (pool, _, _):
        first, second, third = [await use(pool) for _ in range(3)]
        assert (first == second, second == third) == (True, False)


# --- cancelled runs ----------------------------------------------------------------------------


async def hold(pool: Pool, begun: asyncio.Event) -> None:
    async with pool.lease(BASH, MODE):
        begun.set()
        await asyncio.sleep(60)


@scenario
async def test_a_run_cancelled_anywhere_gives_its_container_back() -> None:
    async with pooled() as (pool, sandboxes, _):
        for turns in range(12):
            work = asyncio.create_task(hold(pool, asyncio.Event()))
            for _ in range(turns):
                await asyncio.sleep(0)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            assert await quiet(pool) == Figures(0, 1, 0)
            assert len(sandboxes.alive) == 1


@scenario
async def test_a_run_cancelled_in_the_line_leaves_it() -> None:
    async with pooled(replace(POLICY, most=1)) as (pool, _, _):
        begun = asyncio.Event()
        first = asyncio.create_task(hold(pool, begun))
        await begun.wait()
        second = asyncio.create_task(hold(pool, asyncio.Event()))
        third = asyncio.create_task(use(pool))
        await asyncio.sleep(0.01)
        second.cancel()
        first.cancel()
        assert await third == "bash-0"
        assert await quiet(pool) == Figures(0, 1, 0)


@scenario
async def test_a_run_cancelled_while_its_agent_is_asked_gives_the_container_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "PING_AFTER_SECONDS", 0)
    async with pooled(script=Script(deaf_to=frozenset({Type.PING}))) as (pool, _, _):
        work = asyncio.create_task(hold(pool, asyncio.Event()))
        await asyncio.sleep(0.05)
        assert pool.figures() == Figures(1, 0, 0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        assert await quiet(pool) == Figures(0, 1, 0)


@scenario
async def test_an_agent_that_does_not_answer_costs_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "PING_AFTER_SECONDS", 0)
    monkeypatch.setattr(pools, "PING_SECONDS", 0.05)
    async with pooled(script=Script(deaf_to=frozenset({Type.PING}))) as (pool, sandboxes, _):
        assert await use(pool) == "bash-1"
        assert list(sandboxes.alive) == ["bash-1"]


# --- failures ----------------------------------------------------------------------------------


@scenario
async def test_a_start_that_fails_fails_the_run_that_it_was_for_and_no_later_one() -> None:
    async with pooled() as (pool, sandboxes, _):
        sandboxes.failing = asyncio.get_running_loop().create_future()
        first, gone = (asyncio.create_task(hold_other(pool)) for _ in range(2))
        await until(lambda: pool.figures().spawning == 2)
        gone.cancel()
        later = asyncio.create_task(hold_other(pool))
        await asyncio.sleep(0.01)
        assert pool.figures().spawning == 2
        sandboxes.failing.set_exception(EngineError("the engine is away"))
        sandboxes.failing = None
        with pytest.raises(StartFailed):
            await first
        assert await later == "python-3"


# --- how many ----------------------------------------------------------------------------------


@scenario
async def test_it_grows_while_runs_wait_up_to_the_budget_and_shrinks_when_they_stop() -> None:
    async with pooled() as (pool, sandboxes, clock):
        async with AsyncExitStack() as stack:
            for _ in range(3):
                await stack.enter_async_context(pool.lease(BASH, MODE))
            fourth = asyncio.create_task(use(pool))
            await asyncio.sleep(0.05)
            assert pool.figures() == Figures(3, 0, 0)
        await fourth
        assert await quiet(pool) == Figures(0, 3, 0)
        clock.advance(POLICY.idle_seconds + 1)
        await until(lambda: pool.figures() == Figures(0, 1, 0))
        assert sandboxes.most == 3


@scenario
async def test_what_waits_for_another_language_makes_room() -> None:
    async with pooled() as (pool, sandboxes, _):
        async with AsyncExitStack() as stack:
            for _ in range(3):
                await stack.enter_async_context(pool.lease(BASH, MODE))
        assert await quiet(pool) == Figures(0, 3, 0)
        async with AsyncExitStack() as stack:
            for runtime in (PYTHON, PYTHON, C):
                await stack.enter_async_context(pool.lease(runtime, MODE))
            assert pool.figures() == Figures(3, 0, 0)
        assert sandboxes.most == 3


@scenario
async def test_room_is_made_of_a_container_that_comes_back_too() -> None:
    async with pooled(replace(POLICY, most=1)) as (pool, _, _):
        async with pool.lease(BASH, MODE):
            waiting = asyncio.create_task(hold_other(pool))
            await asyncio.sleep(0.01)
            assert not waiting.done()
        assert await waiting == "python-1"


async def hold_other(pool: Pool) -> str:
    async with pool.lease(PYTHON, MODE) as sandbox:
        return sandbox.container_id


@scenario
async def test_a_language_that_nobody_uses_any_more_keeps_no_container() -> None:
    async with pooled() as (pool, sandboxes, clock):
        await hold_other(pool)
        assert await quiet(pool) == Figures(0, 2, 0)
        clock.advance(POLICY.idle_seconds + 1)
        await until(lambda: list(sandboxes.alive) == ["bash-0"])


# --- users -------------------------------------------------------------------------------------


def test_no_two_runs_have_the_same_user_while_there_are_enough() -> None:
    users = Users()
    taken = [users.take(None) for _ in range(FIRST_UID, LAST_UID + 1)]
    assert sorted(taken) == list(range(FIRST_UID, LAST_UID + 1))
    users.give_back(taken[5])
    assert users.take(None) == taken[5]


def test_a_run_never_has_the_user_of_the_one_before() -> None:
    users = Users()
    taken = [users.take(None) for _ in range(FIRST_UID, LAST_UID + 1)]
    users.give_back(taken[5])
    assert users.take(last=taken[5]) != taken[5]
