"""Who waits for a session's container, and in which order."""

from contextlib import ExitStack, closing
from pathlib import Path

from emulator.sandbox.shells import IMAGE
from tests.client import Client, test_account
from tests.containers import containers, eventually
from tests.server import running, settings

MANY = 8
IN_TURN = 4
"""Sessions of who creates many that are there before another one's: some may start already."""


def test_who_creates_many_sessions_keeps_nobody_waiting_nor_busy_when_they_hang_up(
    tmp_path: Path,
) -> None:
    chosen = settings(tmp_path, languages="bash", pool_size="1", start_concurrency="1")
    with (
        running(chosen) as server,
        closing(Client(server.api)) as many,
        closing(Client(server.api, test_account("one slot"))) as other,
    ):
        taken, lives = server.emulator.slots.taken, server.emulator.sessions.lives
        with ExitStack() as stack:
            for _ in range(MANY):
                stack.enter_context(many.waiting("/sessions", {}))
            eventually(lambda: taken(many.account) == MANY)
            assert other.post("/sessions", {}).status_code == 200
            assert many.get("/sessions").json()["count"] <= IN_TURN
        eventually(lambda: taken(many.account) == len(lives.of(many.account.public_key)))
        assert taken(many.account) < MANY
        waiting_one = 1
        eventually(lambda: len(containers(server, runtime=IMAGE)) == len(lives.all()) + waiting_one)
