from hypothesis import given
from hypothesis import strategies as st

from emulator.store.documents import pack, unpack

VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), VALUES), st.integers(0, 600))
def test_every_document_comes_back_as_it_was(document: dict[str, object], length: int) -> None:
    for given_ in (document, {**document, "long": "x" * length}):
        assert unpack(pack(given_)) == given_


def test_long_documents_are_compressed_and_short_ones_are_not() -> None:
    assert len(pack({"stdout": "x" * 100_000})) < 1000
    assert b"plain" in pack({"stdout": "plain"})
