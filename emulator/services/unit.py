"""A service's bootstrap script as `systemctl` and `journalctl` show it: as a unit.

The words and exit codes are systemd's. Its log is the service's, whose lines bear no times.
"""

from argparse import ArgumentParser, Namespace
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Final, NamedTuple, NoReturn, Protocol

from emulator.clock import Clock
from emulator.log import escape
from emulator.sandbox.agent import AgentError
from emulator.services import bootstrap
from emulator.services.control import Caller, Request
from emulator.services.log import ServiceLogs, last
from emulator.services.service import Service, State

OK, FAILED, NOT_ACTIVE, NO_SUCH_UNIT, NOT_LOADED = 0, 1, 3, 4, 5
SUFFIX: Final = ".service"
UNIT: Final = "bootstrap"
"""What every service's script is called, beside the service's own names."""

FOLLOWED_LINES: Final = 10
"""Lines shown before those that are still to come, and below a status."""

STARTS, START_SECONDS = 5, 10.0
"""A script that restarts itself is not started more often than this."""


class Script(Protocol):
    """A service's script, to be started and ended."""

    async def run_again(self, service: Service) -> None:
        """End what came of it, and run it; raises AgentError or TimeoutError."""

    async def end(self, service: Service) -> None:
        """End what came of it; raises AgentError or TimeoutError."""

    async def processes(self, service: Service) -> list[str]:
        """What lives of it, each with its id; raises AgentError or TimeoutError."""


class _Misused(Exception):
    """Arguments that cannot be understood."""


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Misused(message)


class _Activity(NamedTuple):
    """How it goes, in systemd's words; `status` exits with `code`."""

    word: str
    told: str
    code: int


def _systemctl() -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("verb", nargs="?", default="status")
    parser.add_argument("units", nargs="*")
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("-n", "--lines", default=str(FOLLOWED_LINES))
    for ignored in (("--no-pager",), ("-l", "--full"), ("--system",), ("--no-ask-password",)):
        parser.add_argument(*ignored, action="store_true")
    return parser


def _journalctl() -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("-u", "--unit", action="append", dest="units", default=[])
    parser.add_argument("-n", "--lines", nargs="?", const=str(FOLLOWED_LINES))
    parser.add_argument("-f", "--follow", action="store_true")
    parser.add_argument("-o", "--output")
    for ignored in (("--no-pager",), ("-q", "--quiet"), ("-e",), ("-x",), ("-b",), ("--system",)):
        parser.add_argument(*ignored, action="store_true")
    return parser


class Unit:
    """Answers what programs in one service ask."""

    def __init__(self, service: Service, script: Script, logs: ServiceLogs, clock: Clock) -> None:
        self._service = service
        self._script = script
        self._logs = logs
        self._clock = clock
        self._starts: deque[float] = deque(maxlen=STARTS)
        self._verbs: Mapping[str, Callable[[Caller, Namespace, str], Awaitable[int]]] = {
            "is-active": self._is_active,
            "restart": self._restart,
            "start": self._start,
            "status": self._status,
            "stop": self._stop,
        }

    async def run(self, request: Request, caller: Caller) -> int:
        """Do what `systemctl` or `journalctl` was called for; returns its exit code."""
        journal = request.program == "journalctl"
        parser = _journalctl() if journal else _systemctl()
        try:
            options = parser.parse_intermixed_args(request.arguments)
            lines = _count(options.lines)
        except _Misused as error:
            await caller.err(f"{escape(request.program)}: {escape(str(error))}")
            return FAILED
        try:
            if journal:
                return await self._journal(caller, options, lines)
            return await self._systemctl(caller, options)
        except OSError as error:
            await caller.err(f"The log cannot be read: {error.strerror}")
            return FAILED

    # --- systemctl -------------------------------------------------------------------------

    async def _systemctl(self, caller: Caller, options: Namespace) -> int:
        if options.verb == "is-system-running":  # what installers ask before they use the rest
            await caller.out(b"offline\n")
            return FAILED
        verb = self._verbs.get(options.verb)
        if verb is None:
            await caller.err(f"Unknown command verb {escape(options.verb)}.")
            await caller.err(f"There is no systemd here; known are: {', '.join(self._verbs)}")
            return FAILED
        code = OK
        for unit in options.units or [self._service.record.name]:
            code = await verb(caller, options, escape(unit.removesuffix(SUFFIX))) or code
        return code

    async def _status(self, caller: Caller, options: Namespace, unit: str) -> int:
        if not self._has(unit):
            await caller.err(f"Unit {unit}{SUFFIX} could not be found.{self._hint()}")
            return NO_SUCH_UNIT
        processes = await self._script.processes(self._service)
        activity = self._activity(processes)
        head = [
            f"* {unit}{SUFFIX} - what the bootstrap script of {self._service.record.name} started",
            f"     Loaded: loaded ({bootstrap.SCRIPT})",
            f"     Active: {activity.told}",
            f"      Tasks: {len(processes)}",
            *(f"             {process}" for process in processes),
        ]
        await caller.out("\n".join(head).encode("utf-8", "replace") + b"\n")
        log = await self._logs.read(self._service.id, _count(options.lines))
        if log:
            await caller.out(f"\n{log}".encode())
        return activity.code

    async def _is_active(self, caller: Caller, options: Namespace, unit: str) -> int:
        word = "inactive"
        if self._has(unit):
            word = self._activity(await self._script.processes(self._service)).word
        if not options.quiet:
            await caller.out(f"{word}\n".encode())
        return OK if word == "active" else NOT_ACTIVE

    async def _restart(self, caller: Caller, options: Namespace, unit: str) -> int:
        del options
        return await self._change(caller, "restart", unit, self._run)

    async def _start(self, caller: Caller, options: Namespace, unit: str) -> int:
        del options
        return await self._change(caller, "start", unit, self._run_unless_active)

    async def _stop(self, caller: Caller, options: Namespace, unit: str) -> int:
        del options
        return await self._change(caller, "stop", unit, lambda: self._script.end(self._service))

    async def _change(
        self, caller: Caller, verb: str, unit: str, work: Callable[[], Awaitable[None]]
    ) -> int:
        if not self._has(unit):
            reason = f"Unit {unit}{SUFFIX} not found.{self._hint()}"
            await caller.err(f"Failed to {verb} {unit}{SUFFIX}: {reason}")
            return NOT_LOADED
        try:
            await work()
        except _Misused as error:
            await caller.err(f"Failed to {verb} {unit}{SUFFIX}: {error}")
        except TimeoutError:
            await caller.err(f"Failed to {verb} {unit}{SUFFIX}: its processes do not end.")
        except AgentError as error:
            await caller.err(f"Failed to {verb} {unit}{SUFFIX}: {error}.")
        else:
            return OK
        return FAILED

    async def _run(self) -> None:
        now = self._clock.monotonic()
        if len(self._starts) == STARTS and now - self._starts[0] < START_SECONDS:
            raise _Misused("Start request repeated too quickly.")
        self._starts.append(now)
        await self._script.run_again(self._service)

    async def _run_unless_active(self) -> None:
        if not await self._script.processes(self._service):
            await self._run()

    def _activity(self, processes: Sequence[str]) -> _Activity:
        state, code = self._service.state, self._service.record.exit_code
        if state is State.FAILED:
            told = f"failed (Result: exit-code, status={code})"
            return _Activity("failed", told, NOT_ACTIVE)
        if not processes:
            return _Activity("inactive", "inactive (dead)", NOT_ACTIVE)
        if state is State.RUNNING:
            return _Activity("active", "active (running)", OK)
        return _Activity("activating", f"activating ({state.value})", OK)

    def _has(self, unit: str) -> bool:
        return self._named(unit) and self._service.record.script is not None

    def _named(self, unit: str) -> bool:
        return unit == UNIT or self._service.goes_by(unit)

    def _hint(self) -> str:
        if self._service.record.script is None:
            return " This service has no bootstrap script."
        return f" The only unit here is {self._service.record.name}{SUFFIX}."

    # --- journalctl ------------------------------------------------------------------------

    async def _journal(self, caller: Caller, options: Namespace, lines: int | None) -> int:
        units = [unit.removesuffix(SUFFIX) for unit in options.units]
        if units and not any(map(self._named, units)):
            await caller.out(b"-- No entries --\n")
            return OK
        if options.follow:
            await caller.while_there(
                self._follow(caller, FOLLOWED_LINES if lines is None else lines)
            )
            return OK
        log = await self._logs.read(self._service.id, lines)
        await caller.out(log.encode() or b"-- No entries --\n")
        return OK

    async def _follow(self, caller: Caller, lines: int) -> None:
        async with aclosing(self._logs.follow(self._service.id)) as pieces:
            kept = await anext(pieces)
            await caller.out(last(kept, lines))
            del kept
            async for piece in pieces:
                await caller.out(piece)


def _count(text: str | None) -> int | None:
    """Lines that are asked for; None for all. Raises _Misused."""
    if text in (None, "all"):
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _Misused(f"Failed to parse lines '{text}'")
    return int(text)
