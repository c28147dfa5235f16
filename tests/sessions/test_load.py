"""Terminals that much goes through both ways at once, while other programs run."""

import hashlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.client import Client
from tests.sessions.conftest import Json, Maker
from tests.shell import Shell

SESSIONS = 3
SHOWN = 3_000_000
"""Bytes that each session shows to each of its clients."""
TYPED = 1_000_000
"""Bytes that each client types."""
AT_ONCE = 4000
"""Bytes of the largest message of a client."""
HALVES = [bytes(range(128)) * 2, bytes(range(128, 256)) * 2]
"""What makes the bytes of a session's first client, and those of its second, known as theirs."""

PROGRAM = f"""\
stty raw -echo
head -c {SHOWN} /dev/urandom >shown
head -c {2 * TYPED} </dev/tty >typed &
printf ready
cat shown
wait
sha256sum <shown
tr -d '\\200-\\377' <typed | sha256sum
tr -d '\\000-\\177' <typed | sha256sum
"""
"""Shows, and is typed at meanwhile; tells the digests of all, as it saw it, in the end."""
DIGESTS = 3 * len(f"{hashlib.sha256().hexdigest()}  -\n")


def test_no_byte_is_lost_doubled_or_reordered_either_way_under_load(sessions: Maker) -> None:
    made = [sessions() for _ in range(SESSIONS)]
    with ThreadPoolExecutor(5 * SESSIONS) as threads, running_programs(sessions.client) as printed:
        for outcome in [threads.submit(converse, sessions, it, threads) for it in made]:
            outcome.result()
    assert printed == [f"{turn}\n" for turn in range(len(printed))]
    assert printed


def converse(sessions: Maker, session: Json, threads: ThreadPoolExecutor) -> None:
    """Two clients type at one program, and look at it, at the same time."""
    sessions.run(session, f"cat >program <<'END'\n{PROGRAM}END")
    with sessions.shell(session) as first, sessions.shell(session) as second:
        both = (first, second)
        first.type("exec bash program\r")
        for shell in both:
            shell.until("ready")
        typing = [threads.submit(type_much, *it) for it in zip(both, HALVES, strict=True)]
        seeing = [threads.submit(seen, shell) for shell in both]
        typed = [it.result() for it in typing]
        for outcome in seeing:
            shown, digests = outcome.result()
            assert digests == [shown, *typed]


def type_much(shell: Shell, half: bytes) -> str:
    """Type random bytes of one half of all, in messages of all lengths; their digest."""
    chance = random.Random(half)  # noqa: S311 - no secret
    data = chance.randbytes(TYPED).translate(half)
    left = memoryview(data)
    while left:
        length = chance.randint(1, AT_ONCE)
        shell.type(bytes(left[:length]))
        left = left[length:]
    return hashlib.sha256(data).hexdigest()


def seen(shell: Shell) -> tuple[str, list[str]]:
    """The digest of what is shown, and those that the program tells."""
    shown, told = shell.exactly(SHOWN), shell.exactly(DIGESTS).decode()
    return hashlib.sha256(shown).hexdigest(), [line.split()[0] for line in told.splitlines()]


@contextmanager
def running_programs(client: Client) -> Iterator[list[str]]:
    """Run one program after another for the block; what they print."""
    printed: list[str] = []
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            printed.append(client.execute("bash", f"echo {len(printed)}")["stdout"])

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield printed
    finally:
        over.set()
        thread.join()
