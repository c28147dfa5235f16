from hypothesis import given
from hypothesis import strategies as st

from emulator.sandbox.program import Stream


def test_invalid_utf8_becomes_the_replacement_character() -> None:
    assert Stream(b"a\xffb\xc3").text() == "a\ufffdb\ufffd"


@given(st.text(), st.integers(min_value=0, max_value=40))
def test_a_cut_never_damages_a_character(text: str, limit: int) -> None:
    data = text.encode()[:limit]
    assert text.startswith(Stream(data, truncated=True).text())


@given(st.text())
def test_whole_text_comes_back_as_it_was(text: str) -> None:
    assert Stream(text.encode()).text() == text
