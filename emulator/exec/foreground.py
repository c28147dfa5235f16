"""The program in the foreground: it has the terminal, the signals and the exit status of `exec`."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

NOT_FOUND, NOT_EXECUTABLE, SIGNALLED = 127, 126, 128
"""Exit statuses as shells have them; SIGNALLED is added to the number of the signal."""

PASSED_ON = frozenset(
    {
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGTERM,
        signal.SIGTSTP,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)
_SI_KERNEL = 0x80  # asm-generic/siginfo.h
_RESET = (signal.SIGPIPE, signal.SIGXFSZ)
"""Ignored by the interpreter, not by what it starts."""


@contextmanager
def signals_held() -> Iterator[set[signal.Signals]]:
    """Signals wait for the block, in all threads that it starts; yields the mask before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*PASSED_ON, signal.SIGCHLD})
    try:
        yield {signal.Signals(number) for number in before}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run(command: list[str], environment: Mapping[str, str], mask: set[signal.Signals]) -> int:
    """Start `command`, found along PATH, and pass on signals until it ends; within `signals_held`.

    Returns:
        Its exit status, or 128 and the number of the signal that ended it; 126 or 127 when it
        cannot be started.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored nobody can wait
    try:
        child = os.posix_spawnp(command[0], command, environment, setsigmask=mask, setsigdef=_RESET)
    except OSError as error:
        print(f"unsandbox-emulator: {command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
    while True:
        told = signal.sigwaitinfo({*PASSED_ON, signal.SIGCHLD})
        if told.si_signo != signal.SIGCHLD:
            _pass_on(told, child)
        elif (status := _change_of(child)) is not None:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else SIGNALLED - code


def _pass_on(told: signal.struct_siginfo, child: int) -> None:
    """What the terminal sends reaches the program without us: it is in our process group."""
    if told.si_code != _SI_KERNEL and told.si_pid != child:
        with suppress(ProcessLookupError):
            os.kill(child, told.si_signo)


def _change_of(child: int) -> int | None:
    """The status of a child that has ended, else None; where it was stopped, we stop too."""
    pid, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
    if not pid:
        return None
    if os.WIFSTOPPED(status):
        os.kill(os.getpid(), signal.SIGSTOP)  # until the shell, or whoever stopped us, resumes us
        os.kill(child, signal.SIGCONT)
        return None
    return status
