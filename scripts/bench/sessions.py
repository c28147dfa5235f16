"""Sessions: how soon their shells are there and show a key, how much goes through them."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from typing import Any

from emulator.sandbox.engine import LABEL
from emulator.sandbox.shells import IMAGE
from scripts.bench.bench import Bench
from scripts.bench.connection import Connection
from scripts.bench.emulator_process import EmulatorProcess, emulator_process
from scripts.bench.plain import plain_container
from scripts.bench.report import RATIO, Row, Sample
from scripts.bench.shell_client import ShellClient
from scripts.bench.terminals import PROMPT, Terminal, local_terminal, skip, until

MB = 1_000_000
WARM = "bash"
"""The one language that is kept warm meanwhile."""
POLL_SECONDS = 0.05
SETTLED_SECONDS = 0.3
"""How long a container that runs takes until it is ready for a session."""

KEYS = 10
"""Keystrokes for each sample of other latencies: they are as many times shorter."""
OUT_BYTES = 100 * MB
PASTED_BYTES = 10 * MB
PASTED_AT_ONCE = 256
"""Bytes of one message of a paste, as the vendor's client sends them."""
TURNS = 3

_PLAIN: Mapping[str, object] = {}
_TMUX: Mapping[str, object] = {"multiplexer": "tmux"}
_KEY, _ERASE = b"x", b"\x7f"
_RAW = "stty raw -echo; printf '%s%s' rea dy; {command}\n"


# --- to the first prompt -----------------------------------------------------------------------


def first_prompt(bench: Bench) -> list[Row]:
    """From `POST /sessions` to the shell's prompt, while a container waits for who comes."""
    with new_emulator() as emulator, Connection(emulator.api) as connection:
        cold, _ = _to_prompt(emulator, connection, _PLAIN)
        first = Sample("the first one", "ms", [cold])
        return [
            _prompt_row(bench, emulator, connection, "session", _PLAIN, first),
            _prompt_row(bench, emulator, connection, "session-tmux", _TMUX),
        ]


def _prompt_row(
    bench: Bench,
    emulator: EmulatorProcess,
    connection: Connection,
    name: str,
    fields: Mapping[str, object],
    *further: Sample,
) -> Row:
    shown, created, instance = [], [], instance_of(connection)
    for _ in range(bench.effort.repeats):
        wait_for_spare(bench, instance)
        prompt, answer = _to_prompt(emulator, connection, fields)
        shown.append(prompt)
        created.append(answer)
    sample = Sample("to the prompt", "ms", shown)
    kind = "".join(f", {value}" for value in fields.values())
    figure = f"POST /sessions to the first prompt, warm{kind}, p50"
    samples = (sample, Sample("to the answer", "ms", created), *further)
    return Row(name, figure, sample.p50, "ms", samples)


def _to_prompt(
    emulator: EmulatorProcess, connection: Connection, fields: Mapping[str, object]
) -> tuple[float, float]:
    """Milliseconds to the prompt of a new session, and those to the answer."""
    began = time.perf_counter()
    answer = connection.post("/sessions", fields)
    session_id = answer.document["id"]
    with ShellClient(emulator.api, session_id) as client:
        until(client, PROMPT)
        seconds = time.perf_counter() - began
    connection.delete(f"/sessions/{session_id}")
    return seconds * 1000, answer.seconds * 1000


def wait_for_spare(bench: Bench, instance: str, sessions: int = 0) -> None:
    """Return once a container waits for the next session, and none is left of those that ended."""
    wanted = ["running"] * (sessions + 1)
    while [it["State"] for it in containers(bench, instance)] != wanted:
        time.sleep(POLL_SECONDS)
    time.sleep(SETTLED_SECONDS)


def instance_of(connection: Connection) -> str:
    """What an emulator marks its containers with."""
    name: str = connection.get("/pools").document["pools"][0]["id"]
    return name.partition("@")[2]


def containers(bench: Bench, instance: str) -> list[dict[str, Any]]:
    """The containers of an emulator's sessions, as the engine lists them."""
    api: Any = bench.engine.client.api
    labels = [f"{LABEL}={instance}", f"{LABEL}.runtime={IMAGE}"]
    found: list[dict[str, Any]] = api.containers(all=True, filters={"label": labels})
    return found


# --- keys --------------------------------------------------------------------------------------


def echo(bench: Bench) -> list[Row]:
    """From a key to its echo by bash, in turn with bash on a terminal of this machine."""
    ours: list[float] = []
    other: list[float] = []
    with _session(_PLAIN) as client, local_terminal() as local:
        for _ in range(KEYS * bench.effort.samples):
            other.append(_echoed(local))
            ours.append(_echoed(client))
    through = Sample("WebSocket", "ms", ours)
    samples = (through, Sample("local terminal", "ms", other))
    return [
        Row("echo", "from a key to its echo, p50", through.p50, "ms", samples),
        Row("echo-p99", "from a key to its echo, p99", through.p99, "ms", samples),
    ]


def _echoed(terminal: Terminal) -> float:
    """Milliseconds to a key's echo; it is erased again."""
    began = time.perf_counter()
    terminal.send(_KEY)
    until(terminal, _KEY)
    seconds = time.perf_counter() - began
    terminal.send(_ERASE)
    until(terminal, b"\b")
    return seconds * 1000


# --- much --------------------------------------------------------------------------------------


def output(bench: Bench) -> list[Row]:
    """100 MB that a program writes to its terminal, from the key that sets it off."""
    del bench
    command = f"head -c1 >/dev/null; head -c {OUT_BYTES} /dev/zero"
    return _speeds("session-out", "100 MB of output", OUT_BYTES, command, _take)


def pasted(bench: Bench) -> list[Row]:
    """10 MB typed at once for a program that reads them, to its word that it did."""
    del bench
    command = f"head -c {PASTED_BYTES} >/dev/null; printf done"
    return _speeds("session-in", "10 MB pasted", PASTED_BYTES, command, _paste)


def _take(terminal: Terminal) -> None:
    terminal.send(_KEY)
    skip(terminal, OUT_BYTES)


def _paste(terminal: Terminal) -> None:
    piece = bytes(PASTED_AT_ONCE)
    for _ in range(PASTED_BYTES // PASTED_AT_ONCE):
        terminal.send(piece)
    terminal.send(bytes(PASTED_BYTES % PASTED_AT_ONCE))
    until(terminal, b"done")


def _speeds(
    name: str, figure: str, count: int, command: str, move: Callable[[Terminal], None]
) -> list[Row]:
    """Both sides in turn, each with its own shell throughout."""
    seconds: tuple[list[float], list[float]] = ([], [])
    with _session(_PLAIN) as client, local_terminal() as local:
        terminals: tuple[Terminal, Terminal] = (client, local)
        for _ in range(TURNS):
            for terminal, its_seconds in zip(terminals, seconds, strict=True):
                run_raw(terminal, command)
                began = time.perf_counter()
                move(terminal)
                its_seconds.append(time.perf_counter() - began)
    through, locally = (
        Sample(side, "MB/s", [count / MB / median(its_seconds)])
        for side, its_seconds in zip(("WebSocket", "local terminal"), seconds, strict=True)
    )
    ratio = locally.p50 / through.p50
    figure = f"{figure}: time through the WebSocket / locally"
    return [Row(name, figure, ratio, RATIO, (through, locally))]


def run_raw(terminal: Terminal, command: str) -> None:
    """Run a command on a terminal that passes on everything as it is."""
    terminal.send(_RAW.format(command=command).encode())
    until(terminal, b"ready")


# --- frozen ------------------------------------------------------------------------------------


def freezing(bench: Bench) -> list[Row]:
    """To freeze a session and to unfreeze it again, in turn with the engine's part of that."""
    frozen, unfrozen, alone = [], [], []
    runtime = bench.catalogue.usual()[0]
    with (
        new_emulator() as emulator,
        Connection(emulator.api) as connection,
        plain_container(bench, runtime, ["sleep", "infinity"]) as plain,
    ):
        path = f"/sessions/{connection.post('/sessions', _TMUX).document['id']}"
        wait_for_spare(bench, instance_of(connection), sessions=1)
        for _ in range(bench.effort.samples):
            alone.append(_paused(bench, plain.container_id))
            frozen.append(connection.post(f"{path}/freeze", {}).seconds * 1000)
            unfrozen.append(connection.post(f"{path}/unfreeze", {}).seconds * 1000)
    both = Sample("both", "ms", [sum(pair) for pair in zip(frozen, unfrozen, strict=True)])
    samples = (
        both,
        Sample("freeze", "ms", frozen),
        Sample("unfreeze", "ms", unfrozen),
        Sample("the engine alone", "ms", alone),
    )
    return [Row("freeze", "freeze + unfreeze, p50", both.p50, "ms", samples)]


def _paused(bench: Bench, container_id: str) -> float:
    """Milliseconds in which the engine pauses a container and lets it go on."""
    api: Any = bench.engine.client.api
    began = time.perf_counter()
    api.pause(container_id)
    api.unpause(container_id)
    return (time.perf_counter() - began) * 1000


@contextmanager
def new_emulator(**settings: str) -> Iterator[EmulatorProcess]:
    """One for the block that does not do much else."""
    with emulator_process(languages=WARM, **settings) as emulator:
        yield emulator


@contextmanager
def _session(fields: Mapping[str, object]) -> Iterator[ShellClient]:
    """A session of a new emulator, at its prompt."""
    with new_emulator() as emulator, Connection(emulator.api) as connection:
        session_id = connection.post("/sessions", fields).document["id"]
        with ShellClient(emulator.api, session_id) as client:
            until(client, PROMPT)
            yield client
