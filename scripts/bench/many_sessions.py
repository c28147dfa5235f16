"""Many sessions of one account at once: how soon all are there, and what each of them holds."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from emulator.sandbox.shells import IMAGE
from scripts.bench.bench import Bench
from scripts.bench.connection import Connection
from scripts.bench.idle import MB, SETTLED_SECONDS, held, pss
from scripts.bench.plain import started_at_once
from scripts.bench.report import Row, Sample
from scripts.bench.sessions import instance_of, new_emulator, wait_for_spare
from scripts.bench.shell_client import ShellClient
from scripts.bench.terminals import PROMPT, until

COUNT = 50
SESSION_MIB = "64"
"""What each is promised, so that a machine of 8 GB has them all."""


def many_sessions(bench: Bench) -> list[Row]:
    """50 clients, each of which creates a session and waits for its prompt."""
    alone = started_at_once(bench, IMAGE, COUNT)
    with new_emulator(session_memory=SESSION_MIB) as emulator, ExitStack() as stack:
        time.sleep(SETTLED_SECONDS)
        connections = [stack.enter_context(Connection(emulator.api)) for _ in range(COUNT)]
        instance = instance_of(connections[0])
        before = pss(emulator.pid)

        def open_one(connection: Connection) -> tuple[float, float]:
            answer = connection.post("/sessions", {})
            client = ShellClient(emulator.api, answer.document["id"])
            stack.enter_context(client)
            until(client, PROMPT)
            return answer.seconds, time.perf_counter()

        began = time.perf_counter()
        with ThreadPoolExecutor(COUNT) as pool:
            opened = list(pool.map(open_one, connections))
        wait_for_spare(bench, instance, sessions=COUNT)
        time.sleep(SETTLED_SECONDS)
        grown = (pss(emulator.pid) - before) / COUNT / MB
        each = Sample("containers", "MB", held(bench, instance, IMAGE))
    answered, shown = zip(*((answer, at - began) for answer, at in opened), strict=True)
    samples = (
        Sample("prompts", "s", shown),
        Sample("answers", "s", answered),
        Sample("the engine alone", "s", [alone]),
    )
    process = Sample("PSS", "MB", [grown])
    figure = f"{COUNT} sessions at once: to the last prompt"
    held_for_it = "emulator, for each idle session with its client"
    return [
        Row("sessions-50", figure, max(shown), "s", samples),
        Row("memory-session", "an idle session's container, p50", each.p50, "MB", (each,)),
        Row("memory-session-emulator", held_for_it, grown, "MB", (process,)),
    ]
