"""How a shell ends for one of its clients."""

from dataclasses import dataclass
from typing import Literal

Event = Literal["exit", "detached", "error"]


@dataclass(frozen=True, slots=True)
class Ending:
    """`exit`: the shell has ended; `detached`: it lives on; `error`: see `message`.

    `shown` comes after the program's output.
    """

    event: Event
    message: str | None = None
    shown: bytes = b""


RESTORED = b"\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?25h\x1b[0m"
"""A terminal as it was before a full-screen program that can no longer tidy up behind itself."""


def forced(event: Event, reason: str, message: str | None = None) -> Ending:
    """An ending that the program on the terminal has no say in: the person is told there, too.

    The vendor's client shows nothing of a message.
    """
    return Ending(event, message, RESTORED + f"\r\n[{reason}]\r\n".encode())
