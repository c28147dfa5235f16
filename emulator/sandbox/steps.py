"""The steps of one run in its sandbox: the files, the compiler, the program, what it left."""

import asyncio
import errno
import resource
import signal
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import TypeVar

from emulator.clock import Clock
from emulator.sandbox.agent import (
    AgentLost,
    Collected,
    FileRefused,
    Process,
    Spawn,
    SpawnFailed,
    Tree,
)
from emulator.sandbox.artifacts import ArtifactReader
from emulator.sandbox.compile_cache import CompileCache, Compiled
from emulator.sandbox.frames import WINDOW
from emulator.sandbox.inputs import Inputs
from emulator.sandbox.network import overlaid
from emulator.sandbox.pool import Sandbox
from emulator.sandbox.program import (
    CANCELLED,
    OUT_OF_MEMORY,
    OUTPUT_LIMIT,
    TIMED_OUT,
    Ending,
    Outcome,
    Program,
    Stream,
)
from emulator.sandbox.runtimes import ARTIFACTS_DIRECTORY, INPUT_DIRECTORY
from emulator.stop import Stop, Stopped

T = TypeVar("T")

MAX_OPEN_FILES = 4096
_SHELL_CODES = {
    errno.ENOENT: 127,
    **dict.fromkeys(
        (errno.EACCES, errno.E2BIG, errno.ENOEXEC, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG),
        126,
    ),
}
"""Exit codes of programs that could not be started, by why."""

GRACE_SECONDS = 10
"""How long the agent may take for what is quick: taking files, killing, reading artifacts."""

_DIRECTORIES = (INPUT_DIRECTORY, ARTIFACTS_DIRECTORY)
"""What a run finds beside the directory of its source, which is made with the source."""


class Run:
    """The steps of one program in one sandbox."""

    def __init__(
        self,
        sandbox: Sandbox,
        program: Program,
        environment: Mapping[str, str],
        clock: Clock,
        stop: Stop,
        compiles: CompileCache,
    ) -> None:
        self._compiles = compiles
        self._compiled = False
        self._agent = sandbox.agent
        self._uid = sandbox.user
        self._program = program
        self._environment = {
            **program.runtime.environment,
            **overlaid(environment, program.env),
        }
        self._clock = clock
        self._stop = stop
        self._deadline = clock.monotonic() + program.ttl

    async def outcome(self) -> Outcome:
        program = self._program
        if program.runtime.compile_command:
            ended = await self._compiled_outcome()
        else:
            ended = await self._finish(await self._begin(program.runtime.run_command))
        if not (program.return_artifact or program.return_wasm_artifact):
            return ended
        reader = ArtifactReader(self._agent, self._uid, program)
        return replace(ended, artifacts=await self._quickly(reader.read(compiled=self._compiled)))

    async def _translated(self, compiled: Outcome) -> Outcome:
        """Compile the source to WebAssembly too; a program that cannot be is run all the same."""
        made = await self._finish(self._spawn(self._program.runtime.wasm_command))
        if made.ending is Ending.EXITED and not made.succeeded:
            text = f"[no WebAssembly module: its compiler ended with exit code {made.exit_code}]\n"
            told = compiled.stderr.followed_by(made.stderr).followed_by(Stream(text.encode()))
            return replace(compiled, stderr=told)
        return compiled.followed_by(made)

    async def _compiled_outcome(self) -> Outcome:
        """What compiler and program printed, and how the last of them ended."""
        runtime = self._program.runtime
        key = self._compiles.key(self._program)
        known = self._compiles.find(key)
        if known is not None:
            self._compiled = True
            process = await self._begin(runtime.run_command, known)
            return known.printed.followed_by(await self._finish(process))
        ended = await self._finish(await self._begin(runtime.compile_command))
        if not ended.succeeded:
            return ended
        self._compiled = True
        if key is not None:
            await self._keep(key, ended)
        if self._program.return_wasm_artifact:
            ended = await self._translated(ended)
            if not ended.succeeded:
                return ended
        return ended.followed_by(await self._finish(self._spawn(runtime.run_command)))

    async def _keep(self, key: bytes, printed: Outcome) -> None:
        """Keep what was compiled; it is read while nothing runs in the sandbox."""
        limit = self._compiles.entry_limit
        binary, *others = await asyncio.gather(
            self._tree(self._program.runtime.binary_path or "", 1, limit),
            self._tree(INPUT_DIRECTORY, 1, 0),
            self._tree(ARTIFACTS_DIRECTORY, 1, 0),
        )
        if binary.files and not any(tree.files or tree.skipped for tree in others):
            (file,) = binary.files
            self._compiles.keep(key, Compiled(file.content, file.mode & 0o777, printed))

    async def _begin(self, command: tuple[str, ...], known: Compiled | None = None) -> Process:
        """Files and first command leave in one write, unless a file must wait for credit."""
        contents = [self._program.code, *(file.content for file in self._program.input_files)]
        if known is not None:
            contents.append(known.binary)
        at_once = all(len(content) <= WINDOW for content in contents)
        with self._agent.pipeline():
            own = self._write_own_files()
            sent = Inputs(self._agent, self._program.input_files, self._uid)
            own += self._write_compiled(known)
            process = self._spawn(command) if at_once else None
        await self._quickly(_written(own, sent))
        return process or self._spawn(command)

    def _write_own_files(self) -> list[Awaitable[None]]:
        """The directories that every program finds, and its source."""
        uid = self._uid
        return [
            *(self._agent.make_directory(path, uid=uid, gid=uid) for path in _DIRECTORIES),
            self._agent.write_file(
                self._program.runtime.source_path, self._program.code, uid=uid, gid=uid
            ),
        ]

    def _write_compiled(self, known: Compiled | None) -> list[Awaitable[None]]:
        """What the compiler would make, if it is known already."""
        path = self._program.runtime.binary_path
        if known is None or path is None:
            return []
        return [
            self._agent.write_file(
                path, known.binary, uid=self._uid, gid=self._uid, mode=known.mode
            )
        ]

    def _spawn(self, command: tuple[str, ...]) -> Process:
        return self._agent.spawn(
            Spawn(
                argv=command,
                env=self._environment,
                cwd=INPUT_DIRECTORY,
                uid=self._uid,
                gid=self._uid,
                rlimits=_rlimits(self._program),
                output_limit=OUTPUT_LIMIT,
                alone=True,
                umask=0o022,
            )
        )

    async def _finish(self, process: Process) -> Outcome:
        """The end of a process, which the ttl or `stop` bring about if nothing else does."""
        left = max(0.0, self._deadline - self._clock.monotonic())
        try:
            async with self._stop.heeded(self._clock, left):
                return outcome_of(await process.collect())
        except TimeoutError:
            return await self._killed(process, Ending.TIMED_OUT, TIMED_OUT)
        except Stopped:
            return await self._killed(process, Ending.CANCELLED, CANCELLED)
        except SpawnFailed as error:
            return _not_started(error)

    async def _killed(self, process: Process, ending: Ending, exit_code: int) -> Outcome:
        """The process and all its descendants ended at once; what it printed before counts."""
        self._agent.signal_all(signal.SIGKILL)
        try:
            collected = await self._quickly(process.collect())
        except SpawnFailed as error:
            return _not_started(error)
        return replace(outcome_of(collected), ending=ending, exit_code=exit_code)

    async def _tree(self, path: str, max_files: int, max_bytes: int) -> Tree:
        """The files at `path` that the run's own user can read."""
        reading = self._agent.read_tree(
            path, uid=self._uid, gid=self._uid, max_files=max_files, max_bytes=max_bytes
        )
        try:
            return await self._quickly(reading)
        except FileRefused:  # the program removed it, or it was never made
            return Tree([], 0)

    async def _quickly(self, work: Awaitable[T]) -> T:
        """What only a broken sandbox takes long for."""
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                return await work
        except TimeoutError:
            raise AgentLost(f"the sandbox did not answer for {GRACE_SECONDS} seconds") from None


async def _written(own: list[Awaitable[None]], sent: Inputs) -> None:
    for made in own:
        await made
    await sent.written()


def _rlimits(program: Program) -> dict[int, tuple[int, int]]:
    """Per process, beside what the container bounds: CPU seconds, descriptors, no core files."""
    seconds = program.ttl * program.vcpu + 1
    return {
        resource.RLIMIT_CPU: (seconds, seconds),
        resource.RLIMIT_NOFILE: (MAX_OPEN_FILES, MAX_OPEN_FILES),
        resource.RLIMIT_CORE: (0, 0),
    }


def _not_started(error: SpawnFailed) -> Outcome:
    """What a shell says of a command that cannot be run: `env` may have another PATH in it."""
    code = _SHELL_CODES.get(error.errno)
    if code is None:
        raise error
    return Outcome(Ending.EXITED, code, Stream(), Stream(f"{error.text}\n".encode()))


def outcome_of(collected: Collected) -> Outcome:
    """What came of a program that has ended."""
    ended = collected.exit
    stdout = Stream(collected.stdout, truncated=ended.stdout_dropped > 0)
    stderr = Stream(collected.stderr, truncated=ended.stderr_dropped > 0)
    out_of_memory = ended.oom_kills > 0 and ended.status == OUT_OF_MEMORY
    ending = Ending.OUT_OF_MEMORY if out_of_memory else Ending.EXITED
    return Outcome(ending, ended.status, stdout, stderr)
