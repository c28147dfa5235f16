"""Removes what runs created; only what stands in a ledger is removed."""

from collections.abc import Iterable

from contract.api import Api
from contract.creation import Made
from contract.exchange import Response
from contract.ledger import Ledger
from contract.outcomes import ContractBroken, NotRun, Unsupported
from contract.printable import printable
from contract.wire import NoAnswer, Wire

__all__ = ["remove_all", "settle"]

SUCCESS = range(200, 300)
NOT_FOUND, CONFLICT, SUDO = 404, 409, 428


class Remover:
    """Removes things from one target."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def remove(self, made: Made) -> str | None:
        """Remove one thing, unlocked first when it is locked; why it is still there, or None.

        Raises:
            NoAnswer: none came.
        """
        try:
            api = Api(self._wire).as_(made.account)
            first = self._answer(api, made.remove, made)
            if _is_gone(made, first):
                return None
            if made.unlock:
                self._answer(api, made.unlock, made)
                first = self._answer(api, made.remove, made)
        except NotRun as error:
            return str(error)
        return None if _is_gone(made, first) else f"{first.status}: {first.text[:200]}"

    def _answer(self, api: Api, operation: str, made: Made) -> Response:
        """Whatever was answered; a challenge is answered with the target's one-time code."""
        response = self._sent(api, operation, made, {})
        code = self._wire.target.sudo_code
        if response.status != SUDO or code is None:
            return response
        headers = {"X-Sudo-OTP": code}
        challenge = _challenge(response)
        if challenge is not None:
            headers["X-Sudo-Challenge"] = challenge
        return self._sent(api, operation, made, headers)

    def _sent(self, api: Api, operation: str, made: Made, headers: dict[str, str]) -> Response:
        self._wire.trail.clear()
        try:
            return api.call(operation, {"id": made.id}, headers=headers)
        except NoAnswer:
            raise
        except (ContractBroken, Unsupported):
            # Whether the answer keeps the contract is another question than whether it helped.
            return self._wire.trail[-1].response


def remove_all(ledger: Ledger, wire: Wire) -> dict[str, str]:
    """Remove what stands in a ledger, the newest first; why something is still there, by id."""
    remover, left, silent = Remover(wire), dict[str, str](), ""
    for made in reversed(list(ledger.book.made.values())):
        try:
            reason = silent or remover.remove(made)
        except NoAnswer as error:
            reason = silent = str(error)  # who does not answer is not asked again
        if reason is None:
            ledger.write(gone=made.id)
        else:
            left[made.id] = reason
    return left


def settle(ledgers: Iterable[Ledger], wire: Wire) -> int:
    """Remove what stands in ledgers, and tell of what cannot be removed; how much that is."""
    count = 0
    for ledger in ledgers:
        found = dict(ledger.book.made)
        left = remove_all(ledger, wire)
        count += len(left)
        for name in found.keys() - left.keys():
            print(f"removed {name}, which a run had left behind ({found[name].remove})")
        for name, reason in left.items():
            made = found[name]
            told = f"{name} ({made.remove} as the account {made.account}): {reason}"
            print(f"STILL THERE: {printable(told)}")
        for number, operation in list(ledger.book.unanswered.items()):
            print(f"{operation} was sent without an answer: what it may have created is not known")
            ledger.write(answered=number)
    return count


def _is_gone(made: Made, response: Response) -> bool:
    # A job that has ended cannot be cancelled, and needs not be.
    ended = made.remove == "cancelJob" and response.status == CONFLICT
    return response.status in SUCCESS or response.status == NOT_FOUND or ended


def _challenge(response: Response) -> str | None:
    try:
        found = response.json["challenge_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) and found.isprintable() else None
