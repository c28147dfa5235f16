"""`make contract`: the whole suite against an emulator of its own, and the proof that it notices.

Options are those of `unsandbox-contract run`; a language whose image is not built is left out,
unless --languages names it. Exit status: 0 when the contract is kept and every fault was noticed;
the first other one of the two commands otherwise.
"""

import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contract.languages import LANGUAGES

ROOT = Path(__file__).parents[1]
REPORT = ROOT / ".build" / "contract"
BIN = Path(sys.executable).parent
NOT_BUILT = "not built"
"""How `runtimes list` begins to tell the state of an image that is not there."""

_END_SECONDS = 60


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="unsandbox-contract-") as folder:
        strict = ["--strict"] if "--strict" in arguments else []
        with emulator(Path(folder), strict) as (api, admin):
            report = ["--report", str(REPORT / "run")]
            run = ["run", "--url", api, *report, *languages(arguments), *arguments]
            mutants = [
                "mutants",
                "--url",
                api,
                "--admin",
                admin,
                "--report",
                str(REPORT / "mutants"),
            ]
            for command in (run, mutants):
                print(f"unsandbox-contract {' '.join(command)}", flush=True)
                status = subprocess.run(
                    [BIN / "unsandbox-contract", *command], check=False
                ).returncode
                if status:
                    return status
    return 0


def languages(arguments: list[str]) -> list[str]:
    """The option that leaves out what is not built: images of all languages take long to build."""
    if "--quick" in arguments or any(it.startswith("--languages") for it in arguments):
        return []
    command = [str(BIN / "unsandbox-emulator"), "runtimes", "list"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    there, missing = built(listed)
    if not missing:
        return []
    print(f"not built, so not run: {', '.join(missing)}", flush=True)
    return [f"--languages={','.join(there)}"]


def built(listed: str) -> tuple[list[str], list[str]]:
    """The names that `runtimes list` shows: those that need no build, and those that do."""
    states = dict(line.split(maxsplit=1) for line in listed.splitlines())
    missing = [name for name in LANGUAGES if states.get(name, "").startswith(NOT_BUILT)]
    return [name for name in LANGUAGES if name in states and name not in missing], missing


@contextmanager
def emulator(folder: Path, options: list[str]) -> Iterator[tuple[str, str]]:
    """An emulator on free ports, with no state of before; the addresses of its API and admin."""
    own = [
        *("--port", "0", "--tls-port", "0", "--admin-port", "0"),
        *("--data-dir", str(folder / "data"), "--key-file", str(folder / "secret.key")),
        *("--ca-dir", str(folder / "ca")),
    ]
    command = [str(BIN / "unsandbox-emulator"), "up", *own, *options]
    log = folder / "emulator.txt"
    with (
        log.open("w") as written,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=written, text=True) as process,
    ):
        try:
            yield _addresses(process, log)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(_END_SECONDS)


def _addresses(process: "subprocess.Popen[str]", log: Path) -> tuple[str, str]:
    found = dict[str, str]()
    for line in process.stdout or ():
        shown = re.match(r"  (API|Admin) +(http://[^/\s]+)", line)
        if shown:
            found[shown[1]] = shown[2]
        if len(found) == 2:
            return found["API"], found["Admin"]
    raise SystemExit(f"the emulator did not start:\n{log.read_text()}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
