"""Both ways of keeping runs apart pass the same attack tests."""

import pytest

MODES = ("reuse", "container")

in_both_modes = pytest.mark.parametrize("server", MODES, indirect=True, scope="session")
"""For modules whose every test uses the session's `server`: once in each mode."""
