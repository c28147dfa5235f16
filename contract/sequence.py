"""The walk through all operations that `diff` and recordings take: its steps, and taking them."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from contract.api import Api
from contract.exchange import Request, Response
from contract.outcomes import NotRun, Unsupported
from contract.stream import followed
from contract.target import MAIN
from contract.wire import BrokenAnswer, NoAnswer

__all__ = ["SEQUENCE", "Step", "Taken", "Walk", "steps"]

SEQUENCE = Path(__file__).parent / "sequence.yaml"

UNTIL_SECONDS = 30
"""How long a step is repeated whose answer is not yet what it waits for."""

_PAUSE_SECONDS = 0.5
_REFERENCE = re.compile(r"\$([a-z]+)\.([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Step:
    """One call, as sequence.yaml describes it."""

    document: Mapping[str, Any]

    @property
    def operation(self) -> str:
        return str(self.document["call"])

    @property
    def case(self) -> str:
        return str(self.document.get("case", "plain"))

    @property
    def name(self) -> str:
        """`operation.case`, fit for a file's name."""
        return f"{self.operation}.{re.sub('[^A-Za-z0-9]+', '-', self.case).strip('-')}"

    @property
    def head(self) -> bool:
        """Whether the answer's head alone is looked at."""
        return bool(self.document.get("head"))

    @property
    def stream(self) -> bool:
        return bool(self.document.get("stream"))


@dataclass(frozen=True, slots=True)
class Taken:
    """A step with its answer, or with the reason why there is none."""

    step: Step
    response: Response | None
    why: str = ""


class _Missing(Exception):
    """A reference leads to nothing."""


def steps(file: Path = SEQUENCE) -> list[Step]:
    """The steps of a file, in order."""
    return [Step(it) for it in yaml.load(file.read_bytes(), yaml.CSafeLoader)]


class Walk:
    """Takes steps on one server; what they answered is at hand for the later ones."""

    def __init__(self, api: Api, unique: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._api = api
        self._unique = unique
        self._pause = pause
        self._answers: dict[str, Any] = {}

    def take(self, step: Step) -> Taken:
        """Send a step's request, again while its `until` says so; never raises for an answer."""
        deadline = time.monotonic() + UNTIL_SECONDS
        while True:
            try:
                response = self._sent(step)
            except _Missing as missing:
                return Taken(step, None, f"there is no {missing}")
            except (Unsupported, NotRun, NoAnswer) as error:
                return Taken(step, None, str(error))
            if self._is_over(step, response) or time.monotonic() > deadline:
                break
            self._pause(_PAUSE_SECONDS)
        if "as" in step.document and response.status < 300:
            self._answers[step.document["as"]] = _parsed(response)
        return Taken(step, response)

    def _sent(self, step: Step) -> Response:
        wire = self._api.wire
        wire.trail.clear()
        try:
            request = self._request(step)
            if not step.stream:
                return wire.send(request)
            with followed(wire, request):
                return wire.trail[-1].response
        except BrokenAnswer:
            return wire.trail[-1].response

    def _is_over(self, step: Step, response: Response) -> bool:
        wanted = step.document.get("until", {})
        body = _parsed(response)
        return response.status >= 300 or all(
            isinstance(body, dict) and body.get(name) in values for name, values in wanted.items()
        )

    def _request(self, step: Step) -> Request:
        document = self._filled(dict(step.document))
        body = document.get("text", "").encode()
        kind = document.get("media_type", "")
        if "json" in document:
            text = json.dumps(document["json"], separators=(",", ":"), ensure_ascii=False)
            body, kind = text.encode(), "application/json"
        api = self._api.as_(document.get("account", MAIN))
        return api.signed(
            api.spec.operations[step.operation],
            document.get("path"),
            query=document.get("query"),
            body=body,
            headers={"Content-Type": kind} if kind else None,
        )

    def _filled(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """With every reference replaced; raises _Missing."""
        if isinstance(value, dict):
            return {name: self._filled(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self._filled(member) for member in value]
        if not isinstance(value, str):
            return value
        reference = _REFERENCE.fullmatch(value)
        if reference is None:
            return value.replace("{unique}", self._unique)
        return self._found(*reference.groups())

    def _found(self, name: str, member: str) -> str:
        if name == "account":
            account = self._api.wire.target.accounts.get(member)
            found = account.public_key if account else None
        else:
            answer = self._answers.get(name)
            found = answer.get(member) if isinstance(answer, dict) else None
        if not isinstance(found, str):
            raise _Missing(f"{name}.{member}")
        return found


def _parsed(response: Response) -> Any:  # noqa: ANN401 - any JSON
    try:
        return response.json
    except ValueError:
        return None


def together(walks: Sequence[Walk], path: Sequence[Step]) -> Iterator[tuple[Taken, ...]]:
    """Each step on all servers before the next one."""
    for step in path:
        yield tuple(walk.take(step) for walk in walks)
