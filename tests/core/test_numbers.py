"""Numbers as text, against decimal arithmetic; NaN is a dash wherever numbers are written."""

import math
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_probe.core.numbers import UNKNOWN, estimate, interval, known, number, p_value, short

FINITE = st.floats(-1e6, 1e6)


@given(FINITE, st.integers(1, 4))
def test_a_number_is_rounded_to_its_decimals(value, digits):
    exact = Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)
    assert number(value, digits) == str(exact if exact else abs(exact))  # no −0


@given(FINITE, FINITE, FINITE)
def test_a_number_stands_before_its_interval(value, low, high):
    head, _, tail = estimate(value, low, high).partition(" ")
    assert head == number(value) and tail == interval(low, high)
    assert tail.strip("[]").split(", ") == [number(low), number(high)]


@given(st.floats(0, 1))
def test_a_p_value_is_never_shown_smaller_than_a_thousandth(p):
    sign, shown = p_value(p).split()
    if p < 0.001:
        assert (sign, shown) == ("<", "0.001")
    else:
        assert sign == "=" and float(shown) == pytest.approx(p, rel=0.5 if p < 0.01 else 0.05)


@given(FINITE)
def test_a_short_number_hides_no_miss(value):
    shown = short(value)
    # Only what is a whole number looks like one.
    assert shown.lstrip("-").isdigit() == (value == int(value))
    assert float(shown) == pytest.approx(value, rel=0.51 if abs(value) < 1e-3 else 0.06, abs=1e-4)


@pytest.mark.parametrize("lost", [(0,), (1,), (0, 1), (0, 1, 2)])
def test_what_is_not_known_is_a_dash(lost):
    value, low, high = (math.nan if k in lost else 0.5 for k in (2, 0, 1))
    assert not known(value, low, high) and interval(low, high) == UNKNOWN
    assert estimate(value, low, high) == (UNKNOWN if 2 in lost else "0.50")
    for write in (number, short, p_value):
        assert write(math.nan) == UNKNOWN
