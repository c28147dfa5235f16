"""What every run of a family imports: loaded once, in the process that the runs are forked from.

Nothing of `contract.families` is: pytest imports those itself. Loading all this takes seconds, and
a fork of it some milliseconds.
"""

import hypothesis.internal.conjecture.engine
import hypothesis.stateful
import hypothesis.strategies
import pytest
import requests
import schemathesis
import schemathesis.pytest

import contract.campaign
import contract.consent
import contract.trail

__all__ = ["contract", "hypothesis", "pytest", "requests", "schemathesis"]
