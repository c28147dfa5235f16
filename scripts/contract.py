"""`make contract`: the whole suite against an emulator of its own, and the proof that it notices.

Options are those of `unsandbox-contract run`; a language whose image is not built is left out,
unless --languages names it. Exit status: 0 when the contract is kept and every fault was noticed;
the first other one of the two commands otherwise.
"""

import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
REPORT = ROOT / ".build" / "contract"
BIN = Path(sys.executable).parent
PATIENCE_SECONDS = 120
"""What is built is ready at once; what is not may take a pull that fails to say why."""

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
    """The options that leave out what can be built and is not: all images take long to build."""
    if "--quick" in arguments or any(it.startswith("--languages") for it in arguments):
        return []
    command = [str(BIN / "unsandbox-emulator"), "runtimes", "list", "--json"]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    asked, missing = chosen(listed)
    if missing:
        print(f"not built, so not run: {', '.join(missing)}", flush=True)
    return [f"--languages={','.join(asked)}", f"--patience={PATIENCE_SECONDS}"]


def chosen(listed: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Of what `runtimes list` tells: the languages to ask for, and those that have to be built.

    What cannot run here is asked for, too: the API has to say why not.
    """
    found = [it for it in listed if it["kind"] == "language"]
    missing = [it["name"] for it in found if it["image_bytes"] is None and not it["why_not"]]
    return [it["name"] for it in found if it["name"] not in missing], missing


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
