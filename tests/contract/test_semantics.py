"""The checks of semantics and isolation find the faults that each of them is for."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.context import ForkServerContext
from pathlib import Path
from threading import Event

import pytest

from contract.listener import listening, own_addresses
from contract.mutants.serving import Stage
from contract.mutants.table import MUTANTS
from contract.mutants.trial import Trial
from contract.programs import FILE
from contract.target import Target
from tests.contract.conftest import Seen

FOUND_BY: Mapping[str, str] = {
    "output-cut": "test_large_output_is_whole_or_said_to_be_cut",
    "output-without-nul": "test_streams_are_told_apart_byte_for_byte",
    "streams-merged": "test_streams_are_told_apart_byte_for_byte",
    "exit-code-0": "test_the_exit_code_is_told_and_decides_on_success",
    "code-newlines": "test_the_source_reaches_the_program_unchanged",
    "env-stripped": "test_the_environment_reaches_the_program",
    "files-utf-8": "test_input_files_reach_the_program_byte_for_byte",
    "artifacts-first": "test_artifacts_come_back_byte_for_byte",
    "ttl-completes": "test_the_ttl_ends_a_program_and_keeps_its_output",
    "status-backwards": "test_a_job_goes_forward_only",
    "job-id-stale": "test_jobs_are_listed_with_ids_of_their_own",
    "result-cached": "test_the_same_request_is_carried_out_again",
    "looking-fails": "test_nothing_of_one_run_is_left_for_the_next",
    "looking-finds-nothing": "test_nothing_of_one_run_is_left_for_the_next",
    "jobs-limited-to-oldest": "test_jobs_are_listed_in_every_form",
    "network-open": "test_zerotrust_reaches_nothing",
}
"""By the name of a mutant, the check that has to find it, alone."""


@pytest.mark.parametrize(("name", "check"), FOUND_BY.items(), ids=FOUND_BY)
def test_a_fault_is_found_by_the_check_that_is_for_it(seen_by: Seen, name: str, check: str) -> None:
    seen_by(name, check)


@pytest.mark.parametrize("family", ["semantics", "isolation"])
def test_the_same_checks_find_nothing_where_nothing_is_wrong(
    stage: Stage, target: Target, context: ForkServerContext, family: str, tmp_path: Path
) -> None:
    checks = {check for name, check in FOUND_BY.items() if MUTANTS[name].family == family}
    with stage.serving() as url:
        trial = Trial(family, " or ".join(checks))
        seen = trial.run(context, replace(target, url=url), None, 1, tmp_path, Event())
    assert seen.checks >= len(checks), seen.said
    assert not seen.failures


def test_what_looks_for_ways_out_finds_every_listener_of_this_machine() -> None:
    """The program of the check, run here: it is not for want of trying that it reaches nothing."""
    program = tomllib.loads(FILE.read_text(encoding="utf-8"))["reach"]["python"]
    with listening() as listener:
        env = {"TARGETS": json.dumps(listener.targets)}
        command = [sys.executable, "-c", program]
        ran = subprocess.run(command, env=env, capture_output=True, check=True)
    assert json.loads(ran.stdout) == [list(target) for target in listener.targets]
    assert len(listener.visitors) == len(listener.targets) >= 2 * len(own_addresses())
