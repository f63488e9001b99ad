"""Python looks for garbage as before, whatever happens where it does not."""

import gc

import pytest

from lstm_probe.core.garbage import not_looked_for


def test_garbage_is_not_looked_for_within_and_is_as_before_afterwards():
    with pytest.raises(ZeroDivisionError), not_looked_for():
        assert not gc.isenabled()
        with not_looked_for():
            pass
        assert not gc.isenabled()
        raise ZeroDivisionError
    assert gc.isenabled()
