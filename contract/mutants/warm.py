"""What every run of a family imports: loaded once, in the process that the runs are forked from.

Nothing of `contract.families` is: pytest imports those itself. Loading all this takes seconds, and
a fork of it some milliseconds.
"""

import gc

import _hypothesis_pytestplugin  # type: ignore[import-untyped]
import hypothesis.internal.conjecture.engine
import hypothesis.stateful
import hypothesis.strategies
import pytest
import requests
import schemathesis
import schemathesis.pytest.plugin

import contract.campaign
import contract.conformance
import contract.consent
import contract.generated.driven
import contract.generated.machine
import contract.plugin
import contract.spec
import contract.trail

contract.spec.loaded(contract.spec.SPEC).validator(contract.conformance.ERROR_SCHEMA)
gc.freeze()

__all__ = [
    "_hypothesis_pytestplugin",
    "contract",
    "hypothesis",
    "pytest",
    "requests",
    "schemathesis",
]
