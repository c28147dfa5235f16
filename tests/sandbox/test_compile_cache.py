"""What a compile is found by, and what is kept of how many; that it works is in tests/api."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from emulator.paths import RUNTIMES
from emulator.sandbox.compile_cache import CompileCache, Compiled
from emulator.sandbox.program import Ending, InputFile, Outcome, Program, Stream
from emulator.sandbox.runtimes import Catalogue

CATALOGUE = Catalogue.load(RUNTIMES)
RUNTIME = next(it for it in CATALOGUE.available() if it.compile_command)
INTERPRETED = next(it for it in CATALOGUE.available() if not it.compile_command)
PROGRAM = Program(
    account="unsb-pk-test-0000-0000-0001",
    runtime=RUNTIME,
    code=b"int main(void) {}",
    env={"A": "b"},
    network_mode="zerotrust",
    ttl=60,
    vcpu=1,
    input_files=(),
    return_artifact=False,
)


def cache(limit: int = 1 << 20, image: str = "unsandbox/c:1") -> CompileCache:
    return CompileCache(limit, lambda _: image)


def compiled(size: int = 100) -> Compiled:
    printed = Outcome(Ending.EXITED, 0, Stream(), Stream(b"warning\n"))
    return Compiled(bytes(size), 0o755, printed)


def facts(**changes: object) -> Program:
    """The program with another compiler, or other words for it."""
    run = msgspec.structs.replace(RUNTIME.facts, **changes)
    return replace(PROGRAM, runtime=replace(RUNTIME, run=run))


def test_the_same_program_has_the_same_key_whatever_else_is_asked_of_its_run() -> None:
    key = cache().key(PROGRAM)
    assert key is not None
    assert cache().key(replace(PROGRAM, ttl=5, vcpu=2, return_artifact=True)) == key
    assert cache().key(replace(PROGRAM, env=dict(reversed([("A", "b")])))) == key


@pytest.mark.parametrize(
    "other",
    [
        replace(PROGRAM, account="unsb-pk-test-0000-0000-0002"),
        replace(PROGRAM, code=PROGRAM.code + b"\n"),
        replace(PROGRAM, env={"A": "c"}),
        replace(PROGRAM, env={"A": "b", "CPATH": "/tmp"}),
        replace(PROGRAM, env={}),
        facts(compile=("gcc", "-O2", "-o", "{binary}", "{source}")),
        facts(env={"GCC": "1"}),
        facts(binary="program"),
    ],
    ids=["account", "source", "value", "variable", "no variable", "flags", "environment", "path"],
)
def test_whatever_a_compiler_can_see_is_part_of_the_key(other: Program) -> None:
    assert cache().key(other) not in (None, cache().key(PROGRAM))


def test_another_image_has_another_key() -> None:
    assert cache(image="unsandbox/c:2").key(PROGRAM) != cache(image="unsandbox/c:1").key(PROGRAM)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"env": {"A": "bB=c"}}, {"env": {"A": "b", "B": "c"}}),
        ({"env": {"A": ""}, "code": b"x"}, {"env": {}, "code": b"A=x"}),
        ({"env": {"A": "1"}, "code": b"2"}, {"env": {"A": "12"}, "code": b""}),
    ],
)
def test_no_part_runs_into_the_next(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert cache().key(replace(PROGRAM, **one)) != cache().key(replace(PROGRAM, **other))


@pytest.mark.parametrize(
    "program",
    [
        replace(PROGRAM, input_files=(InputFile("header.h", b""),)),
        replace(PROGRAM, network_mode="semitrusted"),
        replace(PROGRAM, runtime=INTERPRETED),
        facts(binary=None),
    ],
    ids=["input files", "network", "nothing to compile", "no single result"],
)
def test_what_depends_on_more_than_the_key_is_not_kept(program: Program) -> None:
    assert cache().key(program) is None


def test_what_was_used_last_stays() -> None:
    entry = compiled(1000)
    kept = cache(limit=entry.bytes * 4)
    keys = [bytes([number]) for number in range(5)]
    for key in keys[:4]:
        kept.keep(key, entry)
    assert kept.find(keys[0]) is entry
    kept.keep(keys[4], entry)
    assert [kept.find(key) is not None for key in keys] == [True, False, True, True, True]
    figures = kept.figures()
    assert (figures["entries"], figures["bytes"]) == (4, entry.bytes * 4)
    assert (figures["hits"], figures["misses"]) == (5, 1)


def test_one_entry_does_not_push_out_all_others() -> None:
    kept = cache(limit=10_000)
    kept.keep(b"small", compiled(10))
    kept.keep(b"large", compiled(2500))
    assert kept.find(b"large") is None
    assert kept.find(b"small") is not None


def test_what_the_compiler_printed_counts_too() -> None:
    noisy = Outcome(Ending.EXITED, 0, Stream(), Stream(bytes(5000)))
    kept = cache(limit=10_000)
    kept.keep(b"noisy", Compiled(b"", 0o755, noisy))
    assert kept.figures()["entries"] == 0


def test_an_entry_is_never_replaced() -> None:
    kept = cache()
    first = compiled()
    kept.keep(b"key", first)
    kept.keep(b"key", compiled())
    assert kept.find(b"key") is first
    assert kept.figures()["bytes"] == first.bytes


def test_a_limit_of_zero_keeps_nothing() -> None:
    assert cache(limit=0).key(PROGRAM) is None
    assert cache(limit=0).find(None) is None
    assert cache(limit=0).figures()["misses"] == 0
