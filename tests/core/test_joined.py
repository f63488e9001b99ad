"""Names in one cell of a table: what comes apart is what went in, and CSV's own writer joins them alike."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from lstm_probe.core.joined import joined, parted

NAMES = st.lists(st.text(st.sampled_from('ab ,"=\n\r\t'), min_size=1, max_size=6), max_size=4)


@given(NAMES, st.sampled_from([",", ", "]))
def test_names_come_apart_as_they_were(names, mark):
    assert parted(joined(names, mark)) == names


@given(NAMES)
def test_what_is_joined_is_csv(names):
    (row,) = csv.reader(io.StringIO(joined(names), newline="")) if names else [[]]
    assert row == names


def test_plain_names_stand_as_they_are():
    assert joined(["count", "a b", "c=1"]) == "count,a b,c=1" and joined([]) == ""
