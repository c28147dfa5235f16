"""`unsandbox-emulator runtimes test`: every test program of languages, in both isolation modes."""

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import uvloop

from emulator.emulator import Emulator
from emulator.life import chosen_runtimes, open_engine, opened
from emulator.paths import RUNTIMES
from emulator.runtimes import build_what_can_be, lacking
from emulator.sandbox.images import Images
from emulator.sandbox.runtimes import Catalogue, Runtime
from emulator.sandbox.trial import Result, median_ms, tried
from emulator.sandbox.versions import FILE, WORKERS, versions
from emulator.settings import ISOLATION, SettingError, Settings
from emulator.terminal import say

HELLO = "hello"
HELLOS = 5
"""How often the first program runs for each of its two times."""

_HEAD = f"{'language':<12} {'programs':>8}  {'hello warm':>10} {'cold':>9}  version"


@dataclass(frozen=True, slots=True)
class Trial:
    """What was seen of one language.

    `warm` and `cold` are medians of the first program's time in milliseconds, compiling included:
    in a container that waits, and in one that must be started first.
    """

    language: str
    version: str
    image_bytes: int
    programs: int
    passed: int
    warm_ms: float
    cold_ms: float
    faults: tuple[str, ...]

    def __str__(self) -> str:
        times = f"{self.warm_ms:>7.0f} ms {self.cold_ms:>6.0f} ms"
        line = f"{self.language:<12} {f'{self.passed}/{self.programs}':>8}  {times}  {self.version}"
        return "\n".join([line, *(f"    {fault}" for fault in self.faults)])


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Build what is missing, then try one language after the other.

    The status is 1 when a program did not do what it should. What cannot be built here is not run,
    which the last line counts.
    """
    catalogue = Catalogue.load(RUNTIMES)
    asked = catalogue.available() if options.all else chosen_runtimes(catalogue, options.names)
    if options.json is not None and not os.access(Path(options.json).absolute().parent, os.W_OK):
        raise SettingError(f"--json: {options.json} cannot be written")
    with closing(open_engine("build", WORKERS)) as engine:
        images = Images(engine.client, catalogue, settings.extra_ca)
        missing = lacking(images, build_what_can_be(engine, images, settings, asked), asked)
        there = [runtime for runtime in asked if runtime.name not in missing]
        known = versions(engine.client, images, there, settings.data_dir / FILE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        trials = runner.run(_trials(settings, there, known))
    if options.json is not None:
        rows = [msgspec.to_builtins(trial) for trial in trials]
        text = json.dumps({"languages": rows, "not_run": missing}, indent=1, ensure_ascii=False)
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    failed = [trial.language for trial in trials if trial.faults]
    for name, reason in missing.items():
        say(f"{name:<12} not run: {reason}")
    ends = {"passed": len(trials) - len(failed), "failed": len(failed), "not run": len(missing)}
    say(", ".join(f"{number} {end}" for end, number in ends.items()))
    return 1 if failed else 0


async def _trials(
    settings: Settings, runtimes: Sequence[Runtime], known: Mapping[str, str]
) -> list[Trial]:
    """One after the other, so that their times mean something."""
    made: list[Trial] = []
    async with _emulators(settings) as emulators:
        say(_HEAD)
        for runtime in runtimes:
            trial = await _trial(emulators, runtime, known[runtime.name])
            say(str(trial))
            made.append(trial)
    return made


@asynccontextmanager
async def _emulators(settings: Settings) -> AsyncIterator[dict[str, Emulator]]:
    """One for each isolation mode, with a state of its own, that keeps nothing warm."""
    async with AsyncExitStack() as stack:
        emulators = {}
        for mode in ISOLATION:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            changed = replace(
                settings,
                isolation=mode,
                data_dir=place / "data",
                key_file=place / "secret.key",
                ca_dir=place / "ca",
                pool_size=0,
                compile_cache=0,
            )
            emulators[mode] = await stack.enter_async_context(opened(changed))
        yield emulators


async def _trial(emulators: Mapping[str, Emulator], runtime: Runtime, version: str) -> Trial:
    hello = next(test for test in runtime.tests if test.name == HELLO)
    results: list[tuple[str, Result]] = []
    times = []
    for mode, emulator in emulators.items():
        results += [(mode, await tried(emulator.executor, runtime, it)) for it in runtime.tests]
        again = [await tried(emulator.executor, runtime, hello) for _ in range(HELLOS)]
        times.append(median_ms(again))
    first = next(iter(emulators.values()))
    warm, cold = times
    return Trial(
        language=runtime.name,
        version=version,
        image_bytes=first.images.image(runtime.name).size(first.engine.client) or 0,
        programs=len(results),
        passed=sum(not result.faults for _, result in results),
        warm_ms=round(warm, 1),
        cold_ms=round(cold, 1),
        faults=tuple(_told(results)),
    )


def _told(results: Sequence[tuple[str, Result]]) -> Iterator[str]:
    for mode, result in results:
        for fault in result.faults:
            yield f"{result.test}, isolation {mode}: {fault}"
