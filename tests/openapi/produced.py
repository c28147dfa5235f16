"""Which documented answers the tests have seen an emulator give, over a whole session.

`unproduced.txt` beside this file lists those that no test produces: a run of the whole suite fails
when another one joins them. It may hold more than is missing (what only a race produces), so that
nothing fails by chance, and it only gets shorter, but for operations that are new.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from emulator.api.table import HANDLERS
from emulator.errors import ApiError
from emulator.exchange import Exchange
from emulator.journal import Journal
from emulator.spec import Spec
from tests.openapi.inventory import UNPROVIDED

Answer = tuple[str, str]
"""operationId and status."""

LIST = Path(__file__).with_name("unproduced.txt")
produced: set[Answer] = set()


def observe(journal: Journal, spec: Spec) -> None:
    """Let every answer that goes into `journal` count; those that a fault asked for do not."""
    record = journal.record

    def noting(exchange: Exchange, seconds: float) -> None:
        if exchange.status and exchange.fault is None:
            produced.update(_answers(exchange, spec))
        record(exchange, seconds)

    journal.record = noting  # type: ignore[method-assign]


def _answers(exchange: Exchange, spec: Spec) -> Iterator[Answer]:
    """None for a path or method that is not in the contract."""
    with suppress(ApiError):
        operation, _ = spec.match(exchange.method, exchange.path.encode())
        yield operation.id, str(exchange.status)


def documented(spec: Spec) -> set[Answer]:
    """Every answer that the contract gives to an operation which this version has."""
    return {
        (operation.id, status)
        for operation in spec.operations.values()
        if operation.id in HANDLERS.keys() - UNPROVIDED
        for status in operation.responses
    }


def listed() -> list[Answer]:
    """The answers that nothing need produce, as the file has them."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return [(operation, status) for operation, status in (line.split() for line in lines)]
