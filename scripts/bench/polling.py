"""A signed `GET /jobs/{id}`, against a bare route that answers with the same document."""

from scripts.bench.bare import bare_server
from scripts.bench.bench import Bench
from scripts.bench.connection import Connection
from scripts.bench.emulator_process import emulator_process
from scripts.bench.report import Row, Sample, compared

TURNS = 21
PER_TURN = 100
"""Requests to one server before it is the other's turn."""


def polling(bench: Bench) -> list[Row]:
    """Time requests on one kept-alive connection to each server; the first turn does not count."""
    runtime = bench.catalogue.usual()[0]
    polls: list[float] = []
    answers: list[float] = []
    with emulator_process(languages=runtime.name) as emulator, Connection(emulator.api) as ours:
        job = ours.post("/execute", {"language": runtime.name, "code": "\n"}).document
        path = f"/jobs/{job['job_id']}"
        with bare_server(ours.get(path).document) as address, Connection(address) as bare:
            for _ in range(TURNS):
                polls += _turn(ours, path)
                answers += _turn(bare, path)
    return compared(
        "job",
        "signed GET /jobs/{id} / bare Starlette route",
        Sample("emulator", "ms", polls[PER_TURN:]),
        Sample("bare", "ms", answers[PER_TURN:]),
    )


def _turn(connection: Connection, path: str) -> list[float]:
    """Milliseconds of each request."""
    return [connection.get(path).seconds * 1000 for _ in range(PER_TURN)]
