"""Whether a target may be spoken to at all: a real service only after two separate opt-ins.

Every command that sends something gets its targets from `admitted`, and from nowhere else. The
two opt-ins are a real target named on the command line (a URL is not a name, and neither is the
name of another target) and the variable UNSANDBOX_CONTRACT_REAL=yes.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from contract.target import REAL_OPT_IN, Target, TargetError, named, resolve

__all__ = ["NoConsent", "admitted"]


class NoConsent(TargetError):
    """A real service was asked for without both opt-ins; nothing was sent."""


def admitted(
    name: str | None,
    url: str | None = None,
    file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Target:
    """The target of a command line (`contract.target.resolve`), if it may be spoken to.

    Raises:
        NoConsent: it is a real service, and an opt-in is missing.
        TargetError: there is no such target, or its description is wrong.
    """
    target = resolve(name, url, file)
    if not target.real:
        return target
    missing = []
    if name is None or not named(name, file).real:
        missing.append("name it (--target real, or a target of your --targets file)")
    if environment.get(REAL_OPT_IN) != "yes":
        missing.append(f"set {REAL_OPT_IN}=yes")
    if missing:
        raise NoConsent(
            f"{target.url} counts as a real service, which nothing is sent to unless you "
            f"{' and '.join(missing)}; an emulator elsewhere: --target emulator --url URL"
        )
    return target
