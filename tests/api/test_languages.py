"""Every language that is built here runs its programs, whatever keeps runs apart."""

import base64
import tomllib

import pytest

from emulator.paths import ROOT, RUNTIMES
from emulator.sandbox.runtimes import Catalogue, Runtime, RuntimeTest
from tests.built import needs
from tests.client import Client
from tests.modes import in_both_modes

pytestmark = in_both_modes

AVAILABLE = Catalogue.load(RUNTIMES).available()
PROGRAMS = [
    pytest.param(runtime, test, id=f"{runtime.name}-{test.name}", marks=needs(runtime))
    for runtime in AVAILABLE
    for test in runtime.tests
]
_DOCUMENTED = tomllib.loads((ROOT / "tests" / "documented.toml").read_text(encoding="utf-8"))
DOCUMENTED = [
    pytest.param(runtime.name, *_DOCUMENTED[runtime.name].values(), marks=needs(runtime))
    for runtime in AVAILABLE
    if runtime.name in _DOCUMENTED
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


@pytest.mark.parametrize(("language", "code", "stdout"), DOCUMENTED)
def test_the_documented_line_prints_what_it_should(
    client: Client, language: str, code: str, stdout: str
) -> None:
    answer = client.execute(language, code)
    assert (answer["stdout"], answer["stderr"], answer["exit_code"]) == (stdout, "", 0)
