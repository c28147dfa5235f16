"""Every language that is built here runs its programs, whatever keeps runs apart."""

import base64

import pytest

from emulator.paths import RUNTIMES
from emulator.sandbox.runtimes import Catalogue, Runtime, RuntimeTest
from tests.built import needs
from tests.client import Client
from tests.modes import in_both_modes

pytestmark = in_both_modes

PROGRAMS = [
    pytest.param(runtime, test, id=f"{runtime.name}-{test.name}", marks=needs(runtime))
    for runtime in Catalogue.load(RUNTIMES).available()
    for test in runtime.tests
]


@pytest.mark.parametrize(("runtime", "test"), PROGRAMS)
def test_a_program_does_what_it_should(client: Client, runtime: Runtime, test: RuntimeTest) -> None:
    files = [
        {"filename": name, "content": base64.b64encode(text.encode()).decode()}
        for name, text in test.files.items()
    ]
    answer = client.execute(
        runtime.name, test.code, env=dict(test.env), input_files=files, ttl=test.ttl
    )
    assert answer["stdout"] == test.stdout
    assert test.stderr in answer["stderr"]
    assert bool(answer["stderr"]) == bool(test.stderr)
    if test.times_out:
        assert answer["status"] == "timeout"
    else:
        assert (answer["exit_code"], answer["status"]) == (test.exit_code, "completed")
        assert answer["success"] == (test.exit_code == 0)
