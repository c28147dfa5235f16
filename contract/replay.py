"""`unsandbox-contract replay`: does a failure of an earlier run happen again?

There are two forms. What is wrong with an answer by itself is shown by the requests that led to
it, sent once more: signed anew, with the ids that this server gives now. What a check found by
comparing answers, or with a signature that is wrong on purpose, is shown by the check itself, with
the seed and the effort of the run that it failed in.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract import evidence, options
from contract.campaign import Campaign, opened, redactor
from contract.exchange import Request, Response
from contract.outcomes import ContractBroken, NotRun, Outcome, Unsupported
from contract.preflight import BROKEN, COULD_NOT_RUN, KEPT, CouldNotRun, reachable
from contract.printable import printable
from contract.redact import HIDDEN, HIDDEN_HEADERS, ONE_TIME_CODE, WRONG_CODE
from contract.reins import Reins
from contract.shards import FAMILIES, pytest_command
from contract.signing import signed_headers
from contract.spec import SpecError
from contract.state import caching
from contract.target import Target, TargetError

if TYPE_CHECKING:
    import pytest

__all__ = ["Replay", "check_again", "replayable", "steps"]

FORMAT = 1
"""Version of the files below `failures/`."""

HELP = "see whether a failure of a report happens again"
_LONGEST_PAUSE_SECONDS = 5.0
_NO_CODE = "000000"
_CONNECTION_HEADERS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "accept-encoding")
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A file below `failures/`: what failed, in which run, and the exchanges that led there."""

    title: str
    message: str
    test: str
    seed: int
    profile: str
    quick: bool
    strict: bool
    trail: Sequence[Mapping[str, Any]]
    requests: bool

    @classmethod
    def read(cls, file: Path) -> "Failure":
        """Raises CouldNotRun when it is no such file."""
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            if document["format"] != FORMAT:
                raise CouldNotRun(f"{file} has the format {document['format']}, not {FORMAT}")
            found = cls(**{name: document[name] for name in cls.__slots__})
        except OSError as error:
            raise CouldNotRun(f"cannot read {file}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise CouldNotRun(f"{file} is no failure of a report: {error!r}") from None
        if found.test and not _is_of_the_suite(found.test):
            raise CouldNotRun(f"{file} names a check that the suite does not have")
        return found


def _is_of_the_suite(test: str) -> bool:
    """Whether a pytest id is one of this suite: a report of somebody else names what is run."""
    file = (FAMILIES / test.partition("::")[0]).resolve()
    return file.is_file() and file.is_relative_to(FAMILIES.resolve())


class Replay:
    """Sends recorded requests once more and keeps what is wrong with the answers."""

    def __init__(self, campaign: Campaign, sleep: Callable[[float], None] = time.sleep) -> None:
        self._campaign = campaign
        self._sleep = sleep
        self._answers: list[Response | None] = []
        self.broken: list[str] = []

    def send(
        self,
        method: str,
        target: str,
        *,
        operation: str = "",
        account: str | None = None,
        headers: Sequence[Sequence[str]] = (),
        body: bytes = b"",
        uses: Mapping[str, Sequence[Any]] | None = None,
        pause: float = 0.0,
        probe: bool = False,
    ) -> Response | None:
        """The answer, or None when none came.

        Args:
            method: of the request.
            target: path and query, as they were sent.
            operation: what is called; empty for none.
            account: the role that signs.
            headers: those of the request; ones that authenticate are made anew.
            body: of the request.
            uses: for each id in them, the place of the answer that gave it, and a JSON pointer.
            pause: seconds to wait first, as the run did.
            probe: see Request.

        Raises:
            NotRun: the profile forbids it, or the account is not there.
        """
        self._sleep(min(pause, _LONGEST_PAUSE_SECONDS))
        ids = {old: self._given(place, pointer, old) for old, (place, pointer) in _items(uses)}
        target, body = (
            _renamed(target, ids),
            _renamed(body.decode("latin-1"), ids).encode("latin-1"),
        )
        kept = [(name, _renamed(self._code(name, value), ids)) for name, value in _kept(headers)]
        spec = self._campaign.spec
        found = spec.operations.get(operation)
        if self._campaign.target.real:
            # Gates decide by the operation: what a file calls another must not get past them.
            found = spec.match(method, target) or found
        signed = self._signed(account, method, target, body)
        request = Request(method, target, (*kept, *signed.items()), body, found, account, probe)
        answer = self._answer(request)
        self._answers.append(answer)
        return answer

    def assert_kept(self) -> None:
        """Raises ContractBroken for what was wrong with any answer."""
        if self.broken:
            raise ContractBroken("replay", "\n".join(self.broken))

    def _answer(self, request: Request) -> Response | None:
        wire = self._campaign.wire
        wire.trail.clear()
        try:
            return wire.send(request)
        except Unsupported:
            pass
        except ContractBroken as error:
            self.broken.append(str(error))
        return wire.trail[-1].response if wire.trail else None

    def _signed(
        self, account: str | None, method: str, target: str, body: bytes
    ) -> Mapping[str, str]:
        if account is None:
            return {}
        keys = self._campaign.api.as_(account).credentials
        return signed_headers(keys, method, target, body, self._campaign.wire.now())

    def _code(self, name: str, value: str) -> str:
        """The account's one-time code where it was sent, and a wrong one where that was."""
        if name.lower() != ONE_TIME_CODE.lower():
            return value
        right = {HIDDEN: self._campaign.target.sudo_code or _NO_CODE, WRONG_CODE: _NO_CODE}
        return right.get(value, value)

    def _given(self, place: int, pointer: str, old: str) -> str:
        answer = self._answers[place]
        try:
            found: Any = answer.json if answer else old
            for part in pointer.split("/")[1:]:
                name = part.replace("~1", "/").replace("~0", "~")
                found = found[int(name) if isinstance(found, list) else name]
        except (ValueError, LookupError, TypeError):
            return old
        return found if isinstance(found, str) else old


def _items(uses: Mapping[str, Sequence[Any]] | None) -> Iterator[tuple[str, Sequence[Any]]]:
    yield from (uses or {}).items()


def _renamed(text: str, ids: Mapping[str, str]) -> str:
    for old in sorted(ids, key=len, reverse=True):
        text = text.replace(old, ids[old])
    return text


def _kept(headers: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    dropped = (HIDDEN_HEADERS - {ONE_TIME_CODE.lower()}) | _CONNECTION_HEADERS
    for name, value in headers:
        if name.lower() not in dropped:
            yield name, value


def replayable(trail: Sequence[Mapping[str, Any]]) -> bool:
    """Whether sending the requests of a trail once more sends the same thing."""
    return bool(trail) and all(step["ordinary"] for step in trail)


def steps(trail: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The arguments of `Replay.send` for each exchange of a trail; those at rest are left out."""
    before = trail[0]["at"] if trail else 0.0
    for step in trail:
        encoding = step.get("request_body_is", "utf-8")
        pause = round(max(step["at"] - before, 0.0), 1)
        arguments = {
            "operation": step["operation"],
            "account": step["account"],
            "headers": [list(pair) for pair in _kept(step["request_headers"])],
            "body": step["request_body"].encode(encoding),
            "uses": step["uses"],
            "pause": min(pause, _LONGEST_PAUSE_SECONDS),
            "probe": step["probe"],
        }
        told = {name: value for name, value in arguments.items() if value}
        yield {"method": step["method"], "target": step["target"], **told}
        before = step["at"]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("failure", metavar="FILE", type=Path, help="REPORT/failures/NNN.json")
    options.add_to(parser)


def main(args: argparse.Namespace) -> int:
    """0 when the contract is kept now, 1 when it is not, 2 when neither is known."""
    try:
        failure = Failure.read(args.failure)
        _as_in_the_run(args, failure)
        target = reachable(args)
        print(printable(f"{failure.title}\n  {failure.message}\nnow, at {target.url}:"))
        return _again(args, failure, target)
    except (CouldNotRun, TargetError, SpecError, NotRun) as error:
        print(printable(f"unsandbox-contract: could not run: {error}"), file=sys.stderr)
        return COULD_NOT_RUN


def _as_in_the_run(args: argparse.Namespace, failure: Failure) -> None:
    args.profile = args.profile or failure.profile
    args.quick = args.quick or failure.quick
    args.strict = args.strict or failure.strict


def _again(args: argparse.Namespace, failure: Failure, target: Target) -> int:
    clean = redactor(target)
    if failure.requests:
        broken = _requests_again(args, failure, target)
        for line in broken:
            print(printable(clean.text(f"  {line}")))
        if broken or not failure.test:
            return BROKEN if broken else KEPT
        print("  the requests are answered as the contract says")
    if not failure.test:
        raise CouldNotRun("the report does not say which check failed")
    found = list(_check_again(args, failure.test, failure.seed))
    for outcome, message in found:
        print(printable(clean.text(f"  {failure.test}: {outcome} {message}".rstrip())))
    return _status(found)


def _requests_again(args: argparse.Namespace, failure: Failure, target: Target) -> list[str]:
    reins = Reins(args.tier, args.rate, options.limits(args))
    with opened(
        target, profile=args.profile, strict=args.strict, spec=args.spec, reins=reins
    ) as campaign:
        replay = Replay(campaign)
        for step, recorded in zip(steps(failure.trail), failure.trail, strict=True):
            answer = replay.send(**step)
            status = answer.status if answer else "no answer"
            told = f"{step['method']} {step['target']}: {status} (then {recorded['status']})"
            print(f"  {printable(told)}")
        return replay.broken


def _status(found: Sequence[tuple[Outcome, str]]) -> int:
    outcomes = {outcome for outcome, _ in found}
    if Outcome.FAILED in outcomes:
        return BROKEN
    if outcomes != {Outcome.PASSED}:
        raise CouldNotRun("the check came to no result")
    return KEPT


def _check_again(args: argparse.Namespace, test: str, seed: int) -> Iterator[tuple[Outcome, str]]:
    """Run one check in a pytest process of its own; what came of it."""
    with tempfile.TemporaryDirectory(prefix="unsandbox-contract-") as folder:
        events = Path(folder) / "events.jsonl"
        command = pytest_command(args, test, seed=seed, events=events)
        process = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=caching(),
        )
        if not events.exists():
            raise CouldNotRun(f"pytest did not run {test}:\n{process.stdout[-2000:]}")
        for event in evidence.read([events]):
            if event["event"] == "result":
                yield Outcome(event["outcome"]), event["message"]


def check_again(config: "pytest.Config", test: str, *, seed: int, quick: bool) -> None:
    """For a pytest file: run a check of the suite with the options that pytest was given.

    Raises:
        ContractBroken: it fails.
        CouldNotRun: it came to no result.
    """
    names = [option.name for option in options.OPTIONS]
    given = {name.replace("-", "_"): config.getoption(f"--contract-{name}") for name in names}
    found = list(_check_again(argparse.Namespace(**{**given, "quick": quick}), test, seed))
    if _status(found) == BROKEN:
        raise ContractBroken("replay", "\n".join(message for _, message in found if message))
