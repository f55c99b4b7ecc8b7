"""What every error of a bad argument says."""

import pytest


def rejects(kind, call, *parts):
    """Assert that a call raises `kind` with a message that has these parts and says what is needed."""
    with pytest.raises(kind) as error:
        call()
    for part in (*parts, "Needed"):
        assert part in str(error.value), str(error.value)
