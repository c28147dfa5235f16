"""The families semantics and isolation find out servers that make one mistake each."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from contract import evidence
from contract.execution import ENDED, EXECUTIONS
from contract.shards import FAMILIES, checks
from tests.contract.faulty import Answered, Asked, Fault, faulty
from tests.server import running, settings


def cut_stdout(characters: int | None) -> Callable[[Answered], None]:
    def cut(answer: Answered) -> None:
        if "stdout" in answer.document:
            shorter = answer.document["stdout"][:characters]
            answer.document |= {"stdout": shorter, "output": shorter}

    return cut


def always_well(answer: Answered) -> None:
    if "exit_code" in answer.document:
        well = answer.document.get("status", "completed") == "completed"
        answer.document |= {"exit_code": 0, "success": well}


def mix_streams(answer: Answered) -> None:
    if "stderr" in answer.document:
        both = answer.document["stdout"] + answer.document["stderr"]
        answer.document |= {"stdout": both, "output": both, "stderr": ""}


def read_without_stderr(answer: Answered) -> None:
    if answer.asked.operation == "getJob" and "stderr" in answer.document:
        answer.document["stderr"] = ""


def spoil_artifacts(answer: Answered) -> None:
    for artifact in answer.document.get("artifacts", ()):
        artifact["data"] = artifact["content_base64"] = artifact["data"][:-4]


def tell_local_time(answer: Answered) -> None:
    for name in {"created_at", "started_at", "completed_at"} & set(answer.document):
        at = answer.document[name]
        answer.document[name] = f"{at[:11]}{(int(at[11:13]) + 2) % 24:02}{at[13:]}"


def take_no_time(answer: Answered) -> None:
    times = {"total_time_ms", "execution_time_ms", "execution_time"}
    answer.document |= dict.fromkeys(times & set(answer.document), 0)


def say_zerotrust(answer: Answered) -> None:
    if "network_mode" in answer.document:
        answer.document["network_mode"] = "zerotrust"


class GoBackwards:
    """Every second reading of a job that has ended says that it runs."""

    def __init__(self) -> None:
        self.read = 0

    def __call__(self, answer: Answered) -> None:
        if answer.asked.operation == "getJob" and answer.document["status"] in ENDED:
            self.read += 1
            if self.read % 2 == 0:
                answer.document["status"] = "running"


class ReuseIds:
    """Every job is said to be the first one."""

    def __init__(self) -> None:
        self.first = ""

    def __call__(self, answer: Answered) -> None:
        if answer.asked.operation == "executeAsync":
            self.first = self.first or answer.document["job_id"]
            answer.document |= {"job_id": self.first, "id": self.first}


def normalise_line_ends(asked: Asked) -> None:
    asked.body = asked.body.replace(b"\r\n", b"\n")
    if asked.operation in EXECUTIONS and asked.json:
        asked.json["code"] = asked.json["code"].replace("\r\n", "\n")


def ignore_ttl(asked: Asked) -> None:
    """And the program goes on for a little longer than that: enough to see it."""
    if asked.operation in EXECUTIONS and asked.json and asked.json.pop("ttl", None):
        asked.json["env"] = {"PAUSE": "3"}


def lose_a_variable(asked: Asked) -> None:
    if asked.operation in EXECUTIONS and asked.json:
        asked.json.get("env", {}).pop("CONTRACT_B", None)


def open_the_network(asked: Asked) -> None:
    if asked.operation in EXECUTIONS and asked.json:
        asked.json["network_mode"] = "semitrusted"


def take_any_language(asked: Asked) -> None:
    if asked.operation in EXECUTIONS and asked.json:
        known = asked.json["language"] in ("bash", "python")
        asked.json["language"] = asked.json["language"] if known else "bash"


FAULTS: Mapping[str, tuple[str, Fault]] = {
    "stdout ends a character early": (
        "test_streams_are_told_apart_byte_for_byte",
        Fault(answer=cut_stdout(-1)),
    ),
    "large output is cut silently": (
        "test_large_output_is_whole_or_said_to_be_cut",
        Fault(answer=cut_stdout(65536)),
    ),
    "stderr is mixed into stdout": (
        "test_streams_are_told_apart_byte_for_byte",
        Fault(answer=mix_streams),
    ),
    "the exit code is always 0": (
        "test_the_exit_code_is_told_and_decides_on_success",
        Fault(answer=always_well),
    ),
    "line ends are normalised": (
        "test_the_source_reaches_the_program_unchanged",
        Fault(request=normalise_line_ends),
    ),
    "a variable is lost": (
        "test_the_environment_reaches_the_program",
        Fault(request=lose_a_variable),
    ),
    "artifacts lose their last bytes": (
        "test_artifacts_come_back_byte_for_byte",
        Fault(answer=spoil_artifacts),
    ),
    "any language is taken": (
        "test_an_unknown_language_is_refused",
        Fault(request=take_any_language),
    ),
    "the ttl is ignored": (
        "test_the_ttl_ends_a_program_and_keeps_its_output",
        Fault(request=ignore_ttl),
    ),
    "times are local": (
        "test_times_are_in_order_of_now_and_in_utc",
        Fault(answer=tell_local_time),
    ),
    "nothing takes time": (
        "test_the_total_time_is_that_of_the_program",
        Fault(answer=take_no_time),
    ),
    "a job has no stderr": (
        "test_a_result_is_the_same_wherever_it_is_read",
        Fault(answer=read_without_stderr),
    ),
    "a status goes backwards": ("test_a_job_goes_forward_only", Fault(answer=GoBackwards())),
    "ids are given twice": (
        "test_jobs_are_listed_with_ids_of_their_own",
        Fault(answer=ReuseIds()),
    ),
    "zerotrust has a network": (
        "test_zerotrust_reaches_nothing",
        Fault(request=open_the_network, answer=say_zerotrust),
    ),
}
"""What a server does wrong, and the check that finds it."""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    chosen = settings(tmp_path_factory.mktemp("semantics"), languages="bash python")
    with running(chosen) as server:
        yield server.api


def failed(url: str, only: str, events: Path) -> set[str]:
    """The first check that fails at a server, of those whose names fit; one has to run at least."""
    status = pytest.main(
        [
            *("-q", "-x", "-c", str(FAMILIES / "pytest.ini"), f"--rootdir={FAMILIES}", "-k", only),
            *("-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:timeout"),
            *("-W", "ignore:Module already imported", "--hypothesis-seed=1"),
            *(f"--contract-url={url}", "--contract-quick", f"--contract-evidence={events}"),
            *(str(FAMILIES / checks(family)) for family in ("semantics", "isolation")),
        ]
    )
    results = [event for event in evidence.read([events]) if event["event"] == "result"]
    assert any(result["outcome"] in ("passed", "failed") for result in results), status
    return {result["check"] for result in results if result["outcome"] == "failed"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_mistake_is_found_by_the_check_that_is_for_it(
    emulator: str, name: str, tmp_path: Path
) -> None:
    check, fault = FAULTS[name]
    with faulty(emulator, fault) as url:
        told = failed(url, check, tmp_path / "events.jsonl")
    assert told
    assert all(it.startswith(check.removeprefix("test_").replace("_", " ")) for it in told)


def test_the_same_checks_find_nothing_when_nothing_is_wrong(emulator: str, tmp_path: Path) -> None:
    only = " or ".join({check for check, _ in FAULTS.values()})
    with faulty(emulator, Fault()) as url:
        assert failed(url, only, tmp_path / "events.jsonl") == set()
