"""How a shell ends for one of its clients."""

from dataclasses import dataclass
from typing import Literal

Event = Literal["exit", "detached", "error"]


@dataclass(frozen=True, slots=True)
class Ending:
    """`exit`: the shell has ended; `detached`: it lives on; `error`: see `message`."""

    event: Event
    message: str | None = None
