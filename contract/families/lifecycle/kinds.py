"""Checks as tables over kinds: each row is evidence for the operations of its kind."""

from collections.abc import Iterable

import pytest

from contract.things import KINDS

__all__ = ["each"]


def each(kinds: Iterable[str], *verbs: str) -> pytest.MarkDecorator:
    """Run a check for each kind; `verbs` begin the ids of the operations that it shows."""
    return pytest.mark.parametrize(
        "kind",
        [
            pytest.param(kind, marks=pytest.mark.operations(*_ids(kind, verbs)), id=kind)
            for kind in kinds
        ],
    )


def _ids(kind: str, verbs: Iterable[str]) -> list[str]:
    return [
        KINDS[kind].make
        if verb == "create"
        else f"{verb}{kind.capitalize()}{'s' if verb == 'list' else ''}"
        for verb in verbs
    ]
