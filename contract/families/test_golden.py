"""The server answers as a real service did when it was recorded."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contract.campaign import Campaign
from contract.differences import differences
from contract.golden import FOLDER, Recording, read
from contract.normal import Normal
from contract.outcomes import ContractBroken, NotRun
from contract.sequence import Walk

_SHOWN = 5


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each recording is a case of its operation; without one there is a case that says so."""
    if "recording" in metafunc.fixturenames:
        folder = metafunc.config.getoption("--contract-golden") or FOLDER
        found: list[Recording | None] = [*read(Path(folder))]
        metafunc.parametrize(
            ("operation_id", "recording"),
            [(it.step.operation if it else "", it) for it in found or [None]],
            ids=[it.step.name if it else "none" for it in found or [None]],
        )


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the server answers to a recorded step, or why it was not asked."""

    answer: Mapping[str, Any] | None
    why: str


@pytest.fixture(scope="module")
def replayed(campaign: Campaign, request: pytest.FixtureRequest) -> Mapping[str, Replayed]:
    """The whole walk at once: its steps need each other's answers."""
    unique = f"contract-{secrets.token_hex(4)}"
    walk, normal = Walk(campaign.api, unique), Normal(unique, campaign.target.accounts)
    made = {}
    for recording in read(Path(request.config.getoption("--contract-golden") or FOLDER)):
        step = recording.step
        taken = walk.take(step)
        operation = campaign.spec.operations[step.operation]
        made[step.name] = Replayed(
            normal.answer(operation, taken.response, head=step.head) if taken.response else None,
            taken.why,
        )
    return made


def test_the_answer_is_as_recorded(
    operation_id: str, recording: Recording | None, replayed: Mapping[str, Replayed]
) -> None:
    made = replayed[_some(recording).step.name]
    if made.answer is None:
        raise NotRun(made.why)
    found = list(differences(_some(recording).answer, made.answer))
    if found:
        told = "; ".join(map(str, found[:_SHOWN]))
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        name = _some(recording).step.name
        raise ContractBroken("golden", f"{operation_id}, {name}: recorded | now: {told}{more}")


def test_the_recording_is_of_today(
    operation_id: str, recording: Recording | None, campaign: Campaign
) -> None:
    why = _some(recording).stale(campaign.spec.digest, datetime.now(UTC).date())
    if why is not None:
        raise NotRun(f"{operation_id}: the recording is stale: {why}; record it anew")


def _some(recording: Recording | None) -> Recording:
    if recording is None:
        raise NotRun("0 recordings")
    return recording
