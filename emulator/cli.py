"""The command `unsandbox-emulator`."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence

import uvloop

from emulator import __version__, ca, doctor, keys, log, runtime_trials, runtimes, up
from emulator.exec import command
from emulator.sandbox.images import BuildFailed
from emulator.sandbox.runtimes import CatalogueError
from emulator.settings import SETTINGS, SettingError, Settings
from emulator.spec import SpecError

Command = Callable[[Settings, argparse.Namespace], int]

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status: 0, 1 when it failed, 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        settings = Settings.load(vars(options))
        log.configure(settings.log_level)
        run: Command = options.run
        return run(settings, options)
    except (SettingError, CatalogueError, SpecError) as error:
        return _fail(str(error), USAGE_ERROR)
    except BuildFailed as error:
        return _fail(str(error), 1)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def settings_of(arguments: Sequence[str]) -> Settings:
    """The settings of a command line; raises SettingError."""
    return Settings.load(vars(_parser().parse_args(arguments)))


def _fail(message: str, status: int) -> int:
    print(f"unsandbox-emulator: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unsandbox-emulator",
        description="The unsandbox.com API on this machine, over local containers.",
        epilog="Every option is also an environment variable: UNSANDBOX_EMULATOR_PORT and so on.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _up(commands)
    _exec(commands)
    _ca(commands)
    _keys(commands)
    _runtimes(commands)
    _add(commands, "doctor", "say what this machine lacks to run the emulator", doctor.run)
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    run: Command,
    *,
    settings: bool = True,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run)
    if settings:
        group = parser.add_argument_group("settings")
        for row in SETTINGS:
            default = row.default()
            shown = " ".join(default) if isinstance(default, tuple) else default
            told = f" (default: {shown})" if shown not in (None, "") else ""
            group.add_argument(
                row.flag,
                dest=row.name,
                metavar=row.metavar,
                help=f"{row.help}{told}".replace("%", "%%"),
                **({"nargs": "?", "const": "true"} if default is False else {}),  # type: ignore[arg-type]
            )
    return parser


def _up(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    def run(settings: Settings, _options: argparse.Namespace) -> int:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(up.run(settings))

    _add(commands, "up", "build what is missing, then serve the API until Ctrl-C", run)


def _exec(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "run a program with the emulator in the place of the cloud (root on Linux)"
    parser = _add(commands, "exec", text, command.run)
    parser.add_argument("--key", metavar="PUBLIC_KEY", help="whose requests they are")
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the program"
    )


def _ca(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "print the file of the certificate that clients have to trust"
    shape = _add(commands, "ca", text, ca.run).add_mutually_exclusive_group()
    shape.add_argument("--pem", action="store_true", help="print the certificate itself")
    shape.add_argument("--env", action="store_true", help="print shell lines that set variables")


def _keys(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("keys", help="list, create or revoke keys")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = _add(actions, "list", "list every key and what it is for", keys.list_keys)
    listing.add_argument("--json", action="store_true", help="print JSON")
    create = _add(actions, "create", "make a key pair and print it", keys.create_key)
    create.add_argument("--tier", help="name of the plan; Free lacks what the free tier lacks")
    create.add_argument("--rate-per-minute", type=int, metavar="N", help="requests a minute")
    create.add_argument("--burst", type=int, metavar="N", help="requests within a second")
    create.add_argument("--concurrency", type=int, metavar="N", help="slots: runs at once")
    create.add_argument("--days", type=float, metavar="N", help="days until it expires")
    revoke = _add(actions, "revoke", "refuse a key from now on", keys.revoke_key)
    revoke.add_argument("public_key", metavar="PUBLIC_KEY")


def _runtimes(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("runtimes", help="list, build, test or prune languages' images")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    build = _named(_add(actions, "build", "build images that are missing", runtimes.build))
    build.epilog = f"Other images can be named too: {', '.join(runtimes.OTHERS)}."
    text = "list languages: version, size and state of their images, and why one is missing"
    listing = _add(actions, "list", text, runtimes.list_)
    listing.add_argument("--json", action="store_true", help="print JSON")
    text = "run the test programs of languages in both isolation modes"
    test = _add(actions, "test", text, runtime_trials.run)
    _named(test)
    test.add_argument("--json", metavar="FILE", help="write what was seen to a file, too")
    prune = _add(
        actions, "prune", "remove images and volumes that other versions built", runtimes.prune
    )
    prune.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="languages; none means those that `up` keeps warm"
    )
    parser.add_argument("--all", action="store_true", help="every language")
    return parser


if __name__ == "__main__":
    sys.exit(main())
