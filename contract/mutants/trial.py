"""One family against one server, in a process that is forked from a warm one."""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import pytest

from contract import evidence, options, shards
from contract.state import caching
from contract.target import Target

T = TypeVar("T")

__all__ = ["Seen", "Trial", "warmed"]

LIMIT_SECONDS = 600
_POLL_SECONDS, _GRACE_SECONDS = 0.2, 3
_NAME = "mutant"
_SECRET = "UNSANDBOX_MUTANT_SECRET_"  # noqa: S105 - the name of a variable
_PLUGINS = ("contract.plugin", "_hypothesis_pytestplugin", "schemathesis.pytest.plugin")
"""What the families need; others are not looked for, which takes longer than many a trial."""


def warmed() -> ForkServerContext:
    """What starts processes that have loaded what a family needs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["contract.mutants.warm"])
    return context


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a trial.

    `failures` are those of the family's own checks, `statuses` and `outcomes` go by operation;
    `checks` counts those that said something of the server, even that it lacks an operation;
    `ended` is whether the family came to its end, `said` the end of what pytest printed.
    """

    failures: Sequence[Mapping[str, Any]]
    statuses: Mapping[str, frozenset[int]]
    outcomes: Mapping[str, frozenset[str]]
    checks: int
    ended: bool
    said: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A family, and how much of it is run.

    `check` and `operations` narrow it; with `thorough` it is run as in a full run.
    """

    family: str
    check: str = ""
    operations: tuple[str, ...] = ()
    thorough: bool = False
    fail_fast: bool = True

    def run(
        self,
        context: ForkServerContext,
        target: Target,
        spec: Path | None,
        seed: int,
        folder: Path,
        over: Event,
    ) -> Seen:
        """Run it against a target; its files lie in `folder`, which has to be empty.

        It does not come to its end when that takes LIMIT_SECONDS, or when all is `over`.
        """
        events, output = folder / "events.jsonl", folder / "pytest.txt"
        arguments = self._arguments(_described(target, folder), spec, seed, events)
        secrets = {
            f"{_SECRET}{role.upper()}": it.secret_key for role, it in target.accounts.items()
        }
        process = context.Process(target=_pytest, args=(arguments, secrets, str(output)))
        process.start()
        until = time.monotonic() + LIMIT_SECONDS
        while process.exitcode is None and time.monotonic() < until and not over.is_set():
            process.join(_POLL_SECONDS)
        if over.is_set():
            process.join(_GRACE_SECONDS)  # Ctrl-C reached it too, and it removes what it made
        status = process.exitcode
        if status is None:
            process.kill()
            process.join()
        return self._seen(events, output, ended=status is not None and shards.ended(status, events))

    def _arguments(self, targets: Path, spec: Path | None, seed: int, events: Path) -> list[str]:
        given = {
            "target": _NAME,
            "targets": targets,
            "spec": spec,
            "operations": ",".join(self.operations),
            "quick": not self.thorough,
        }
        left_out = {option.name.replace("-", "_"): None for option in options.OPTIONS}
        args = argparse.Namespace(**{**left_out, **given})
        test = shards.checks(self.family)
        return [
            *shards.pytest_arguments(args, test, seed=seed, events=events),
            # What is loaded already cannot be rewritten, and nothing else has to be.
            *("--assert=plain", "--tb=no"),
            *(word for plugin in _PLUGINS for word in ("-p", plugin)),
            *(["-k", self.check] if self.check else []),
            *(["-x"] if self.fail_fast else []),
        ]

    def _seen(self, events: Path, output: Path, *, ended: bool) -> Seen:
        found = list(evidence.read([events])) if events.exists() else []
        own = [
            event
            for event in found
            if event["event"] == "result" and event["family"] != evidence.EVERY_ANSWER
        ]
        answers = [event for event in found if event["event"] == "answers"]
        said = output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""
        return Seen(
            [event for event in own if event["outcome"] == "failed"],
            _by_operation((event["operation"], event["status"]) for event in answers),
            _by_operation((event["operation"], event["outcome"]) for event in own),
            sum(event["outcome"] != "not run" for event in own),
            ended,
            said[-2000:],
        )


def _by_operation(pairs: Iterable[tuple[str, T]]) -> dict[str, frozenset[T]]:
    found = dict[str, set[T]]()
    for operation, value in pairs:
        found.setdefault(operation, set()).add(value)
    return {operation: frozenset(values) for operation, values in found.items()}


def _described(target: Target, folder: Path) -> Path:
    """A targets file, with the names of variables in the place of secrets."""
    lines = [f"[targets.{_NAME}]", f"url = {json.dumps(target.url)}", "real = false"]
    if target.admin:
        lines.append(f"admin = {json.dumps(target.admin)}")
    if target.sudo_code:
        lines.append(f"sudo_code = {json.dumps(target.sudo_code)}")
    for role, credentials in target.accounts.items():
        lines += [
            f"[targets.{_NAME}.accounts.{role}]",
            f"public_key = {json.dumps(credentials.public_key)}",
            f"secret_env = {json.dumps(_SECRET + role.upper())}",
        ]
    file = folder / "targets.toml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _pytest(arguments: list[str], secrets: Mapping[str, str], output: str) -> None:
    """The forked process."""
    environment = {**caching(), **secrets}
    sys.dont_write_bytecode = False
    sys.pycache_prefix = environment.get("PYTHONPYCACHEPREFIX")
    os.environ.update(environment, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS="")
    with _printing_to(output):
        status = pytest.main(arguments)
    sys.exit(int(status))


@contextmanager
def _printing_to(output: str) -> Iterator[None]:
    with Path(output).open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    yield
    sys.stdout.flush()
