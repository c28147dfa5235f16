"""Nothing is ever sent to the real service by default: proven where its names lead to a counter."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from contract.target import REAL_OPT_IN

CLOUD = "https://api.unsandbox.com"
YES = {REAL_OPT_IN: "yes"}
KEYS = {"UNSANDBOX_PUBLIC_KEY": "unsb-pk-a-b-c-d", "UNSANDBOX_SECRET_KEY": "unsb-sk-a-b-c-d"}
PROXIED = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy"), CLOUD)
LIMITS = ("--family", "limits", "--only", "every_answer")


@dataclass(frozen=True)
class Case:
    """A command line, its variables, and what is to come of it."""

    argv: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    status: int = 2
    packets: int = 0


CASES = [
    Case(("run", "--url", CLOUD)),
    Case(("run", "--url", CLOUD), YES | KEYS),
    Case(("run", "--url", "http://unsandbox.com:8042"), YES | KEYS),
    Case(("run", "--target", "real"), KEYS),
    Case(("run", "--target", "real"), KEYS | {REAL_OPT_IN: "no"}),
    Case(("run", "--target", "emulator", "--url", CLOUD), YES | KEYS),
    Case(("run", "--target", "real", "--profile", "full", "--max-requests", "9"), KEYS),
    Case(("cleanup", "--target", "real"), KEYS),
    Case(("cleanup", "--url", CLOUD), YES | KEYS),
    Case(("record", "--target", "real"), KEYS),
    Case(("diff", "real", "emulator"), KEYS),
    Case(("diff", CLOUD, "emulator"), YES | KEYS),
    Case(("mutants", "--url", CLOUD), YES | KEYS),
    Case(("mutants", "--target", "real"), YES | KEYS),
    Case(("proxy", "--target", "real", "--port", "0"), KEYS),
    Case(("run", "--target", "real", "--dry-run", *LIMITS), YES | KEYS, 0),
    Case(("run", "--url", "http://127.0.0.1:REDIRECTING", *LIMITS), YES | PROXIED, 1),
    # That the counter counts: with both opt-ins, one connection, which ends before TLS begins.
    Case(("run", "--target", "real", *LIMITS), YES | KEYS, 2, 1),
]


def test_nothing_is_sent_to_the_real_service_without_both_opt_ins(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    cases = [{"argv": case.argv, "environment": case.environment} for case in CASES]
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *user, "--net", "--mount", sys.executable, "-m", "tests.contract.counted"]
    kept = {name: value for name, value in os.environ.items() if "UNSANDBOX" not in name}
    kept["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
    done = subprocess.run(
        command, input=json.dumps(cases), capture_output=True, text=True, env=kept, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for case, came in zip(CASES, found, strict=True):
        assert (came["status"], came["packets"]) == (case.status, case.packets), (case, came)
