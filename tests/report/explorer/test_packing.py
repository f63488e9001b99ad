"""Packed arrays are read back as they were, to their precision, and unknown numbers stay unknown."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lstm_probe.report.explorer.packing import pack, pack_rows
from tests.report.explorer.unpacking import rows, unpacked


@pytest.mark.parametrize(("kind", "values"), [
    ("float64", [[0.1, np.nan], [-1e300, np.inf]]), ("float32", [[0.5, np.nan], [-2.25, 1e30]]),
    ("uint16", [[0, 1], [300, 65535]]), ("uint8", [[0, 1], [2, 255]]),
])  # fmt: skip
def test_an_array_is_read_back(kind, values):
    packed = pack(np.array(values), kind)
    assert packed["shape"] == [2, 2]
    want = np.array(values, dtype=np.float32 if kind == "float32" else float)
    np.testing.assert_array_equal(unpacked(packed), want)


def test_an_array_of_columns_is_packed_row_by_row():
    values = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(unpacked(pack(values)), values)


number = st.one_of(st.floats(-1e6, 1e6, width=32), st.just(np.nan), st.just(np.inf))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(number, min_size=5, max_size=5), min_size=1, max_size=4))
def test_rows_are_read_back_to_a_step_of_their_own_range(values):
    values = np.array(values)
    back = rows(pack_rows(values))
    known = np.isfinite(values)
    assert (np.isfinite(back) == known).all()
    for own, row, there in zip(values, back, known):
        if there.any():
            step = np.ptp(own[there]) / 65534 + 1e-6 * np.abs(own[there]).max()
            assert np.abs(own[there] - row[there]).max() <= step
            assert row[there].min() == pytest.approx(own[there].min(), rel=1e-6)


def test_a_constant_row_keeps_its_value():
    np.testing.assert_allclose(rows(pack_rows(np.array([[0.3, np.nan, 0.3]]))), [[0.3, np.nan, 0.3]], rtol=1e-6)
