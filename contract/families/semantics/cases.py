"""What the checks of this family are made of: the operations, generated cases, readings."""

import base64
import re

import pytest
from hypothesis import strategies as st

from contract.execution import EXECUTIONS

ALL_BYTES = bytes(range(256))


def _operations(quick: list[str], whole: list[str]) -> pytest.MarkDecorator:
    """A quick run takes one that is waited for, and one that is not where both take the same."""
    slow = [pytest.param(it, marks=pytest.mark.slow_check) for it in whole if it not in quick]
    return pytest.mark.parametrize("operation_id", [*quick, *slow])


every_execution = _operations(["execute", "runAsync"], list(EXECUTIONS))
with_files = _operations(["execute"], ["execute", "executeAsync"])

letters = st.characters(categories=["Ll", "Lu", "Lo", "Nd"], include_characters="-_+=,@")
words = st.text(letters, min_size=1, max_size=20)
names = st.one_of(
    words, st.tuples(words, words).map(" ".join), st.tuples(words, words).map(".".join)
)
contents = st.binary(max_size=2000)
trees = st.dictionaries(names, contents, max_size=10)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
variables = st.dictionaries(
    st.from_regex(r"CONTRACT_[A-Za-z0-9_]{0,20}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=100),
    max_size=8,
)


def decoded(base64_text: str) -> bytes:
    return base64.b64decode(base64_text, validate=False)


def text(output: bytes) -> str:
    """As results have it: how many U+FFFD stand for bytes that are no UTF-8 is not documented."""
    return readable(output.decode("utf-8", "replace"))


def readable(output: str) -> str:
    return re.sub("\ufffd+", "\ufffd", output)
