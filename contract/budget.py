"""The most that a run may send, use up and create; what goes beyond it is not run."""

from collections.abc import Callable

from contract.exchange import Exchange, Request
from contract.outcomes import OutOfBudget
from contract.profiles import Limits
from contract.state import Meter
from contract.usage import vcpu_minutes

__all__ = ["Budget"]

REQUESTS, SPENT = "requests", "spent"
REFUSED = {*range(400, 500), 501}


class Budget:
    """Counts what the processes of a run send; a gate of the wire.

    What a request could cost is charged before it is sent, and given back when it was refused.
    """

    def __init__(
        self, meter: Meter, limits: Limits, creates: Callable[[Request], bool], price: float = 1.0
    ) -> None:
        self._meter = meter
        self._limits = limits
        self._creates = creates
        self._price = price

    def before(self, request: Request) -> None:
        """Charge a request; raises OutOfBudget when there is not enough left for it."""
        with self._meter.turn() as numbers:
            for name, amount, limit, option in self._charges(request):
                left = None if limit is None else limit - numbers.get(name, 0.0)
                if left is not None and amount > left:
                    raise OutOfBudget(
                        f"{name}: {max(left, 0):g} of {limit:g} are left and this takes "
                        f"{amount:g}; more by {option}"
                    )
            for name, amount, _, _ in self._charges(request):
                numbers[name] = numbers.get(name, 0.0) + amount

    def after(self, exchange: Exchange) -> None:
        """Give back what a refused request cannot have cost; it was sent all the same.

        A server that failed may have done what it was asked for before.
        """
        if exchange.response.status not in REFUSED:
            return
        with self._meter.turn() as numbers:
            for name, amount, _, _ in self._charges(exchange.request):
                if name != REQUESTS:
                    numbers[name] = numbers.get(name, 0.0) - amount

    def _charges(self, request: Request) -> list[tuple[str, float, float | None, str]]:
        """(name, amount, limit, option) of all that a request counts against."""
        limits = self._limits
        charges: list[tuple[str, float, float | None, str]] = [
            (REQUESTS, 1, limits.requests, "--max-requests")
        ]
        if spend := vcpu_minutes(request) * self._price:
            charges.append((SPENT, spend, limits.spend, "--max-spend"))
        if request.operation is not None and self._creates(request):
            name = f"things created by {request.operation.id}"
            charges.append((name, 1, limits.creates, "--max-creates"))
        return charges
