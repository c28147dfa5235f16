"""Why an execution would not work now, in words; nothing to say means ready."""

from emulator.errors import Unavailable


class Readiness:
    """Reasons by topic: each part of the emulator sets and clears its own."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def block(self, topic: str, reason: str) -> None:
        self._reasons[topic] = reason

    def clear(self, topic: str) -> None:
        self._reasons.pop(topic, None)

    def reasons(self) -> list[str]:
        return list(self._reasons.values())

    def require(self) -> None:
        """Raise Unavailable, with the reasons, unless there are none."""
        if self._reasons:
            raise Unavailable("Not ready yet: " + "; ".join(self._reasons.values()))
