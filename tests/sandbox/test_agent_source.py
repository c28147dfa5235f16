"""The agent's own tests, in C: units, and mutated streams against a build with sanitizers."""

import subprocess

import pytest

from tests.sandbox.agent_process import BUILD, SOURCE


@pytest.mark.parametrize("target", ["test", "fuzz"])
def test_the_agents_own_tests_pass(target: str) -> None:
    command = ["make", "-s", "-C", str(SOURCE), f"OUT={BUILD}", "FUZZ_SEED=1", target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
