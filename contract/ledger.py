"""Everything that a run creates, in a file before it is asserted on; nothing else is ended.

A ledger is a file of JSON lines in the user's state directory. Its first line names the target;
then `about` is a request that may create something, `made` what was created, `moved` a change of
owner, and `gone` what exists no more. The process that writes it holds a lock on it: a ledger that
can be locked belongs to a process that is over, whatever ended it. It holds ids and no secrets.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from contract.creation import Creations, Made, has_ended, path_parameters, removes
from contract.exchange import Exchange, Request
from contract.outcomes import Limited
from contract.spec import Operation
from contract.state import directory, prefix
from contract.target import Target, TargetError

__all__ = ["Book", "Bookkeeping", "Ledger", "left_behind", "new_ledger", "opened"]

SUDO, NOT_FOUND = 428, 404
SUFFIX = ".ledger"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(slots=True)
class Book:
    """What the lines of a ledger add up to: what is there, and requests without an answer."""

    url: str = ""
    made: dict[str, Made] = field(default_factory=dict)
    unanswered: dict[int, str] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        return not self.made and not self.unanswered

    def add(self, line: Mapping[str, Any]) -> None:
        """Apply one line."""
        match line:
            case {"target": str(url)}:
                self.url = url
            case {"about": int(number), "operation": str(operation)}:
                self.unanswered[number] = operation
            case {"answered": int(number)}:
                self.unanswered.pop(number, None)
            case {"made": dict(members)}:
                made = Made(**members)
                self.made[made.id] = made
            case {"moved": str(name), "account": str(account)} if name in self.made:
                old = self.made[name]
                self.made[name] = Made(name, old.remove, old.unlock, account)
            case {"gone": str(name)}:
                self.made.pop(name, None)


class Ledger:
    """One file and what it adds up to."""

    def __init__(self, path: Path, file: IO[str], *, durable: bool = True) -> None:
        self.path = path
        self.book = Book()
        self._file = file
        self._durable = durable

    def load(self) -> None:
        """Read what stands in the file; a last line that a crash cut short says nothing.

        Raises:
            TargetError: it is no ledger.
        """
        try:
            for line in self._file:
                if line.endswith("\n"):
                    self.book.add(json.loads(line))
        except (ValueError, TypeError, AttributeError) as error:
            raise TargetError(f"{self.path} is no ledger of the suite: {error}") from None
        if not self.book.url:
            raise TargetError(f"{self.path} is no ledger of the suite: it names no target")

    def write(self, **line: object) -> None:
        """Add a line; it is on the disk when this returns, where that matters."""
        self.book.add(line)
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        if self._durable:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file, which goes when nothing in it is there any more."""
        if self.book.settled:
            self.path.unlink(missing_ok=True)
        self._file.close()


class Bookkeeping:
    """Writes what a process creates into a ledger; a gate of the wire.

    On a real service it also sees to it that only what the run created is changed or ended, and
    that nothing more of a kind is created once removing it turned out to take a one-time code.
    """

    def __init__(self, ledger: Ledger, target: Target, creations: Creations) -> None:
        self._ledger = ledger
        self._target = target
        self._creations = creations
        self._own: set[str] = set()
        self._barred: set[str] = set()
        self._unanswered: dict[str, list[int]] = {}
        self._number = 0

    def before(self, request: Request) -> None:
        """Note that something may come of a request; raises Limited when it must not be sent."""
        operation = request.operation
        if not self._target.real or operation is None:
            return
        if _changes(operation) and not self._is_own(request):
            raise Limited("on a real service nothing is changed but what the run created")
        found = self._creations.kinds(operation)
        barred = self._barred & {kind.remove.id for kind in found}
        if barred:
            raise Limited(f"{min(barred)} takes a one-time code, so nothing more is created")
        if found:
            self._number += 1
            self._unanswered.setdefault(operation.id, []).append(self._number)
            self._ledger.write(about=self._number, operation=operation.id)

    def after(self, exchange: Exchange) -> None:
        """Keep what was created and what is gone."""
        ended = has_ended(exchange.response) if self._creations.creates(exchange.request) else False
        for made in self._creations.made(exchange):
            self._own.add(made.id)
            if not ended:
                self._ledger.write(made=asdict(made))
        operation = exchange.request.operation
        if operation is None:
            return
        if numbers := self._unanswered.get(operation.id):
            self._ledger.write(answered=numbers.pop())
        known = self._ledger.book.made.get(path_parameters(exchange.request).get("id", ""))
        if known is not None:
            self._follow(operation, known, exchange)

    def _follow(self, operation: Operation, known: Made, exchange: Exchange) -> None:
        status = exchange.response.status
        if removes(operation):
            owner = exchange.request.account == known.account
            if status < 300 or (status == NOT_FOUND and owner):
                self._ledger.write(gone=known.id)
            elif status == SUDO and self._target.sudo_code is None:
                self._barred.add(operation.id)
        elif operation.id == "transferImage" and status < 300:
            for role, credentials in self._target.accounts.items():
                if credentials.public_key.encode() in exchange.request.body:
                    self._ledger.write(moved=known.id, account=role)

    def _is_own(self, request: Request) -> bool:
        return path_parameters(request).get("id") in {None, *self._own}


def _changes(operation: Operation) -> bool:
    """A shell is opened by GET, and changes what it is opened in."""
    return operation.method not in _SAFE_METHODS or operation.traits.network


@contextmanager
def new_ledger(target: Target) -> Iterator[Ledger]:
    """A ledger for this process; its file goes when everything in it has gone."""
    name = f"{prefix(target)}{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
    path = directory() / name
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        # It has its name when it has its lock: whoever cleans up takes an unlocked one for old.
        fcntl.flock(file, fcntl.LOCK_EX)
        ledger = Ledger(path, file, durable=target.real)
        ledger.write(target=target.url)
        fresh.rename(path)
        try:
            yield ledger
        finally:
            ledger.close()


def left_behind(target: Target) -> Iterator[Ledger]:
    """The ledgers of processes that are over, each this process's alone until the next."""
    for path in sorted(directory().glob(f"{prefix(target)}*{SUFFIX}")):
        with opened(path) as ledger:
            if ledger is not None:
                yield ledger


@contextmanager
def opened(path: Path) -> Iterator[Ledger | None]:
    """An old ledger, or None when it is gone or its process is alive.

    Raises:
        TargetError: it cannot be read, or is no ledger.
    """
    try:
        file = path.open("r+", encoding="utf-8")
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise TargetError(f"cannot open {path}: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        ledger = Ledger(path, file)
        ledger.load()
        try:
            yield ledger
        finally:
            ledger.close()
