"""The same programs by fork and exec in a plain container, one after another or many at once."""

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from emulator.sandbox.runtimes import INPUT_DIRECTORY, Runtime, RuntimeTest
from scripts.bench.bench import Bench
from scripts.bench.plain import LABEL, OPTIONS, Streams, plain_container

Command = tuple[str, ...]

PREPARED = """\
set -e
mkdir -p {directories}
printf %s {code} >{source}
cd {working_directory}
"""
TIMED_RUNS = """\
{prepared}{first}
while read -r; do
  began=${{EPOCHREALTIME/./}}
  {{
    {commands}
  }} </dev/null >/dev/null
  echo $((${{EPOCHREALTIME/./}} - began))
done
"""
"""For bash: the commands for each line that is read, and the microseconds that they took."""

LOOPS = """\
{prepared}
while read -r loops microseconds; do
  end=$((${{EPOCHREALTIME/./}} + microseconds))
  began=${{EPOCHREALTIME/./}}
  for ((loop = 0; loop < loops; loop++)); do
    {{
      runs=0
      until ((runs > 0 && ${{EPOCHREALTIME/./}} >= end)); do
        {{
          {commands}
        }} </dev/null >/dev/null
        runs=$((runs + 1))
      done
      echo $runs
    }} &
  done
  wait
  echo $((${{EPOCHREALTIME/./}} - began))
done
"""
"""For bash: so many loops at once until the time is over; each at least one run.

Each loop tells its number of runs, then a line the microseconds that all took.
"""


class Native:
    """Runs `hello` of a runtime without an emulator in between."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def milliseconds(self) -> float:
        """Of one run; for a script of `timed`."""
        self._streams.send(b"\n")
        return int(self._streams.line()) / 1000

    def per_second(self, loops: int, seconds: float) -> float:
        """Runs a second of so many loops at once; for a script of `looping`."""
        runs, took = self._loops(loops, seconds)
        return runs / took

    def burst_seconds(self, count: int) -> float:
        """From the first to the last of so many runs at once; for a script of `looping`."""
        return self._loops(count, 0)[1]

    def _loops(self, loops: int, seconds: float) -> tuple[int, float]:
        self._streams.send(f"{loops} {round(seconds * 1e6)}\n".encode())
        runs = sum(int(self._streams.line()) for _ in range(loops))
        return runs, int(self._streams.line()) / 1e6


def commands_of(runtime: Runtime) -> list[Command]:
    """What a run takes: compiling where there is something to compile, and running."""
    return [it for it in (runtime.compile_command, runtime.run_command) if it]


def timed(
    runtime: Runtime, test: RuntimeTest, first: Sequence[Command], then: Sequence[Command]
) -> str:
    """A script that does `first` once, and `then` for each line that it reads."""
    return TIMED_RUNS.format(
        prepared=_prepared(runtime, test), first=_lines(first), commands=_lines(then)
    )


def looping(runtime: Runtime, test: RuntimeTest) -> str:
    """A script that runs as many loops as it is told."""
    return LOOPS.format(prepared=_prepared(runtime, test), commands=_lines(commands_of(runtime)))


@contextmanager
def native(bench: Bench, runtime: Runtime, script: str) -> Iterator[Native]:
    """`script` in a plain container for the block."""
    with plain_container(bench, runtime, ["bash", "-c", script]) as streams:
        yield Native(streams)


def docker_exec(bench: Bench, runtime: Runtime, test: RuntimeTest) -> list[float]:
    """Milliseconds of one run after another, each by `docker exec` in one container."""
    script = f"{_prepared(runtime, test)}echo\nread -r\n"
    command = ["bash", "-ec", _lines(commands_of(runtime))]
    with plain_container(bench, runtime, ["bash", "-c", script]) as streams:
        streams.line()
        return [
            _milliseconds(lambda: _exec(bench, streams.container_id, command), test)
            for _ in range(bench.effort.repeats)
        ]


def docker_run(bench: Bench, runtime: Runtime, test: RuntimeTest) -> list[float]:
    """Milliseconds of one run after another, each by `docker run --rm` in its own container."""
    script = _prepared(runtime, test) + _lines(commands_of(runtime))
    image = bench.images.image(runtime.name).reference
    return [
        _milliseconds(
            lambda: bench.engine.client.containers.run(
                image,
                entrypoint=["bash"],
                command=["-c", script],
                environment=runtime.environment,
                remove=True,
                labels={LABEL: ""},
                **OPTIONS,
            ),
            test,
        )
        for _ in range(bench.effort.repeats)
    ]


def _exec(bench: Bench, container_id: str, command: list[str]) -> bytes:
    api: Any = bench.engine.client.api
    started = api.exec_create(container_id, command, workdir=INPUT_DIRECTORY)
    return bytes(api.exec_start(started["Id"]))


def _milliseconds(run: Any, test: RuntimeTest) -> float:  # noqa: ANN401 - docker's own client
    began = time.perf_counter()
    printed = run()
    took = (time.perf_counter() - began) * 1000
    if printed.decode() != test.stdout:
        raise RuntimeError(f"hello printed {printed!r}")
    return took


def _prepared(runtime: Runtime, test: RuntimeTest) -> str:
    source = runtime.source_path
    return PREPARED.format(
        directories=shlex.join([INPUT_DIRECTORY, source.rpartition("/")[0]]),
        code=shlex.quote(test.code),
        source=shlex.quote(source),
        working_directory=shlex.quote(INPUT_DIRECTORY),
    )


def _lines(commands: Sequence[Command]) -> str:
    return "\n".join(map(shlex.join, commands))
