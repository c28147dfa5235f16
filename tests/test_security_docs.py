"""The page that says what is tested names tests that are there."""

import ast
import re

from emulator.paths import ROOT

FILES = ("test_isolation.py", "test_exhaustion.py", "test_faults.py", "test_job_store.py")


def test_every_attack_that_is_told_is_a_test() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    told = re.findall(r"\| `(test_\w+)` \|$", page, re.MULTILINE)
    there = {
        node.name
        for name in FILES
        for node in ast.parse((ROOT / "tests" / "api" / name).read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    assert len(told) > 25
    assert set(told) <= there
