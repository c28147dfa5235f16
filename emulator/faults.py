"""Faults on demand: what may go wrong, and the rules that say for which requests."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from emulator import ids
from emulator.accounts import PUBLIC_KEY
from emulator.clock import Clock
from emulator.errors import BadRequest, Conflict, NotFound, error_kind
from emulator.exchange import Exchange
from emulator.nearest import did_you_mean
from emulator.sandbox.engine_faults import EngineFault
from emulator.spec import Spec
from emulator.typed import misfit

MAX_RULES = 100
MAX_SECONDS = 3600
FAULT_HEADER = "X-Emulator-Fault"
RUNS_PROGRAMS = frozenset({"execute", "executeAsync", "run", "runAsync"})
"""Operations that a fault of the engine can come over."""

Json = dict[str, object]
Seconds = Annotated[float, Meta(ge=0, le=MAX_SECONDS)]

_EXCLUSIVE = (
    ("status", "drop"),
    ("status", "truncate"),
    ("drop", "truncate"),
    ("status", "kill"),
    ("status", "slow_start"),
    ("drop", "kill"),
    ("drop", "slow_start"),
)
_NEEDS = {"code": "status", "retry_after": "status", "kill_after": "kill", "method": "path"}
_FAULTS = ("status", "delay", "drop", "truncate", "slow_start", "kill")


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What goes wrong with one request; all times in seconds.

    `status`, with `code` and `retry_after`, is answered in place of the operation's answer. `drop`
    ends the connection without an answer. With both, nothing is carried out. `truncate` cuts the
    connection in the middle of the answer's body. `slow_start`, `kill` and `kill_after` are
    explained in `EngineFault`. `delay` comes before any of it, or alone.
    """

    status: Annotated[int, Meta(ge=400, le=599)] | None = None
    code: Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")] | None = None
    retry_after: Annotated[int, Meta(ge=0, le=86_400)] | None = None
    delay: Seconds = 0
    drop: bool = False
    truncate: bool = False
    slow_start: Seconds = 0
    kill: Literal["agent", "container"] | None = None
    kill_after: Seconds = 0

    def __post_init__(self) -> None:
        """Raise ValueError for fields that do not go together."""
        given = {name for name in self.__struct_fields__ if getattr(self, name)}
        if not given & {*_FAULTS}:
            raise ValueError(f"one of {', '.join(_FAULTS)} is needed")
        for name, other in _EXCLUSIVE:
            if {name, other} <= given:
                raise ValueError(f"{name}: does not go together with {other}")
        for name, needed in _NEEDS.items():
            if name in given and needed not in given:
                raise ValueError(f"{name}: needs {needed}")

    @property
    def engine(self) -> EngineFault | None:
        """What of it concerns the engine."""
        if self.slow_start or self.kill:
            return EngineFault(self.slow_start, self.kill, self.kill_after)
        return None


class Rule(Fault, frozen=True):
    """A fault, and the requests that it is for: all, but for those that a field rules out.

    In `path`, `*` stands for any one segment. `account` is the public key that a request names,
    whoever signed it. `count` is how often it strikes, `probability` how likely each time, drawn
    from `seed`: the same requests in the same order meet the same faults.
    """

    operation: str | None = None
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] | None = None
    path: Annotated[str, Meta(pattern="^/", max_length=512)] | None = None
    account: Annotated[str, Meta(pattern=rf"^{PUBLIC_KEY.pattern}$")] | None = None
    count: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    probability: Annotated[float, Meta(gt=0, le=1)] = 1
    seed: Annotated[int, Meta(ge=0, le=2**53)] = 0

    def concerns(self, exchange: Exchange, public_key: str) -> bool:
        """Whether a request is one of those that it is for."""
        operation = exchange.operation.id if exchange.operation else ""
        return (
            self.operation in (None, operation)
            and self.method in (None, exchange.method)
            and (self.path is None or _matches(self.path, exchange.path))
            and self.account in (None, public_key)
            and (self.engine is None or operation in RUNS_PROGRAMS)
        )


def _matches(pattern: str, path: str) -> bool:
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(
        one in ("*", other) for one, other in zip(wanted, given, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent instead of an operation's answer."""

    status: int
    body: Json
    headers: Mapping[str, str]


class Struck(Exception):
    """A fault ends a request here: with `answer`, or with its connection where there is none."""

    def __init__(self, answer: Answer | None) -> None:
        super().__init__()
        self.answer = answer


async def strike(fault: Fault, by: str, exchange: Exchange, clock: Clock) -> None:
    """Let `fault` happen to a request, as far as it can now; `by` is the rule's id, or `header`.

    Raises:
        Struck: the request ends here.
    """
    exchange.fault = {"by": by, **msgspec.to_builtins(fault_alone(fault))}
    await clock.sleep(fault.delay)
    if fault.drop:
        raise Struck(None)
    if fault.status is not None:
        raise Struck(_answer(fault, fault.status))
    exchange.truncate |= fault.truncate
    exchange.engine_fault = fault.engine or exchange.engine_fault


def fault_alone(fault: Fault) -> Fault:
    """Without what makes it a rule."""
    return Fault(*(getattr(fault, name) for name in Fault.__struct_fields__))


def _answer(fault: Fault, status: int) -> Answer:
    """As an operation would word it, where one can answer this at all."""
    kind = error_kind(status, fault.code)
    details = "This answer was asked for: docs/control.md, faults"
    body = kind(details).body() if kind else _unheard_of(status, fault.code, details)
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return Answer(status, body, headers)


def _unheard_of(status: int, code: str | None, details: str) -> Json:
    known = {one.value: one.phrase for one in HTTPStatus}
    return {
        "error": known.get(status, f"Status {status}"),
        "code": code or f"HTTP_{status}",
        "message": details,
        "details": details,
    }


def parse_header(text: str) -> Fault:
    """The fault of `status=503; retry_after=2` or `drop`; raises BadRequest.

    A field that stands twice counts as it stands last.
    """
    parts = (part.strip().partition("=") for part in text.split(";") if part.strip())
    values = {name.strip(): value.strip() if sign else "true" for name, sign, value in parts}
    try:
        return msgspec.convert(values, Fault, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{FAULT_HEADER}: {misfit(error)}") from None


class _Entry:
    """A rule and what became of it."""

    def __init__(self, rule: Rule) -> None:
        self.id = ids.fault_id()
        self.rule = rule
        self.seen = 0
        self.hits = 0
        self._random = random.Random(rule.seed)  # noqa: S311 - reproducible on purpose

    def hit(self) -> bool:
        """Whether it strikes one more request of those that it is for."""
        if self.rule.count is not None and self.hits >= self.rule.count:
            return False
        self.seen += 1
        struck = self._random.random() < self.rule.probability
        self.hits += struck
        return struck

    def document(self) -> Json:
        rule: Json = msgspec.to_builtins(self.rule)
        return {"id": self.id, **rule, "seen": self.seen, "hits": self.hits}


class FaultRules:
    """The rules in force, in the order in which they were made; the first that strikes counts."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._entries: dict[str, _Entry] = {}

    def add(self, document: object) -> Json:
        """Put a rule in force, and show it.

        Raises:
            BadRequest: a field breaks a rule; the message names both.
            Conflict: there are too many.
        """
        try:
            rule = msgspec.convert(document, Rule)
        except msgspec.ValidationError as error:
            raise BadRequest(misfit(error)) from None
        self._check_operation(rule)
        if len(self._entries) >= MAX_RULES:
            raise Conflict(f"There are {MAX_RULES} rules already; DELETE /_emulator/faults")
        entry = _Entry(rule)
        self._entries[entry.id] = entry
        return entry.document()

    def _check_operation(self, rule: Rule) -> None:
        if rule.operation is None:
            return
        if rule.operation not in self._spec.operations:
            near = did_you_mean(rule.operation, self._spec.operations)
            raise BadRequest(f"operation: no such operationId{near}; GET /openapi lists them")
        if rule.engine is not None and rule.operation not in RUNS_PROGRAMS:
            fields = "kill" if rule.kill else "slow_start"
            raise BadRequest(f"{fields}: {rule.operation} runs no program")

    def strikes(self, exchange: Exchange, public_key: str) -> tuple[str, Fault] | None:
        """The rule that this request falls to, by its id; its chance is used up."""
        for entry in self._entries.values():
            if entry.rule.concerns(exchange, public_key) and entry.hit():
                return entry.id, entry.rule
        return None

    def __iter__(self) -> Iterator[Json]:
        """Every rule, with how many requests it was for and how many it struck."""
        return (entry.document() for entry in self._entries.values())

    def __bool__(self) -> bool:
        return bool(self._entries)

    def remove(self, rule_id: str) -> None:
        """Raise NotFound where there is none."""
        if self._entries.pop(rule_id, None) is None:
            raise NotFound("There is no such rule; GET /_emulator/faults lists them")

    def clear(self) -> int:
        """Remove all; how many there were."""
        count = len(self._entries)
        self._entries.clear()
        return count
