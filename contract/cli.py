"""`unsandbox-contract`: a table of commands."""

import argparse
import importlib
import sys
import traceback
from collections.abc import Sequence
from typing import Protocol, cast

from contract.redact import Redactor

__all__ = ["COMMANDS", "main", "parser"]

COMMANDS = {
    "run": "contract.run",
    "cleanup": "contract.cleanup",
    "explain": "contract.explain_request",
    "proxy": "contract.proxy.command",
    "mutants": "contract.mutants.command",
    "replay": "contract.replay",
    "diff": "contract.diff",
    "record": "contract.record",
}
"""Commands by name, and the module of each: HELP, `arguments(parser)` and `main(args)`."""

COULD_NOT_RUN, INTERRUPTED = 2, 130
"""Exit statuses of every command; the second is a shell's for what Ctrl-C ended."""


class Command(Protocol):
    HELP: str

    def arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def main(self, args: argparse.Namespace) -> int: ...


def parser() -> argparse.ArgumentParser:
    """The command line; raises ModuleNotFoundError for a package that the suite lacks."""
    made = argparse.ArgumentParser(
        prog="unsandbox-contract",
        description="Tells whether a server keeps the unsandbox API's contract.",
    )
    commands = made.add_subparsers(metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        command = cast("Command", importlib.import_module(module))
        epilog = getattr(command, "EPILOG", None)
        sub = commands.add_parser(name, help=command.HELP, description=command.HELP, epilog=epilog)
        command.arguments(sub)
        sub.set_defaults(main=command.main)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit status."""
    try:
        known = parser()
    except ModuleNotFoundError as error:
        print(
            f"unsandbox-contract: {error.name} is not installed: install the extra `contract`, "
            "in a checkout by: pip install '.[contract]'",
            file=sys.stderr,
        )
        return COULD_NOT_RUN
    args = known.parse_args(argv)
    try:
        status: int = args.main(args)
    except KeyboardInterrupt:
        print("unsandbox-contract: interrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        print(f"unsandbox-contract: could not run: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    except Exception:  # noqa: BLE001 - the interpreter's exit status would say: not kept
        print(Redactor().text(traceback.format_exc()), file=sys.stderr)
        print("unsandbox-contract: could not run: a fault of its own", file=sys.stderr)
        return COULD_NOT_RUN
    return status


if __name__ == "__main__":
    sys.exit(main())
