"""Groups in the forms that people have them in."""

import numpy as np
import pandas as pd
import pytest
import torch

from lstm_probe.core.errors import InputError
from lstm_probe.core.groups import drawn_as_one, group_codes, resampled_by


@pytest.mark.parametrize(
    "given",
    [
        [7, 7, 3, 7, 9], (2.5, 2.5, 0.0, 2.5, 1.0), ["b", "b", "a", "b", "c"], np.array(["b", "b", "a", "b", "c"]),
        torch.tensor([7, 7, 3, 7, 9]), torch.tensor([7.0, 7, 3, 7, 9], requires_grad=True),
        pd.Series(["b", "b", "a", "b", "c"], index=[4, 3, 2, 1, 0]), pd.Series([7, 7, 3, 7, 9], dtype="Int64"),
        pd.Categorical(["b", "b", "a", "b", "c"]), [torch.tensor(k) for k in (7, 7, 3, 7, 9)], ["1", "1", 1, "1", 2],
        np.array(["b", "b", 1, "b", 2.5], dtype=object), pd.to_datetime(["2020", "2020", "2019", "2020", "2021"]),
    ],
)  # fmt: skip
def test_groups_of_any_form_are_numbered_in_the_order_in_which_they_come(given):
    assert group_codes(given, 5).tolist() == [0, 0, 1, 0, 2]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([1, 2, 3], r"groups: shape \(3,\); there are 5 sequences, so it must be \(5,\)"),
        (np.ones((5, 2)), r"shape \(5, 2\)"), ("abcde", r"shape \(\)"), (3, r"shape \(\)"), ({"a": 1}, r"shape \(\)"),
        ([1, np.nan, 2, None, 3], "2 of 5 sequences have none"), (["a", None, "b", np.nan, "c"], "2 of 5 sequences"),
        ([[1], [2, 3], [4], [5], [6]], "numbers or text"), ([1, [2], "a", (), 3], "numbers or text"),
    ],
)  # fmt: skip
def test_what_is_not_one_entry_for_each_sequence_is_refused(given, told):
    with pytest.raises(InputError, match=told):
        group_codes(given, 5)


def test_no_groups_and_a_single_one_leave_sequences_one_by_one():
    assert group_codes(None, 4) is None and drawn_as_one(None) is None
    assert drawn_as_one(np.zeros(4, dtype=np.int64)) is None
    assert drawn_as_one(np.array([0, 1])).tolist() == [0, 1]


@pytest.mark.parametrize(("groups", "said"), [(None, False), ([0, 1, 1, 2], False), ([4] * 4, True), (["a"] * 4, True)])
def test_that_all_are_of_one_group_is_said_where_intervals_are_made(groups, said, caplog):
    found = resampled_by(groups, 4)
    assert ("all sequences are of one group" in caplog.text) == said
    assert (None if found is None else found.tolist()) == (groups if groups is not None and not said else None)
