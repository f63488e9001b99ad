"""The picture of shares shows the numbers of its table, and fits."""

import pandas as pd
import pytest

from lstm_probe.core.columns import SHARE_COLUMNS
from lstm_probe.figures.shares import MOST, rows_of, shares
from lstm_probe.runs.illustrations import known_shares, largest_shares
from tests.figures.made import check_layout


def share_table(values, layers=1):
    """One target for each list of shares; the units of a list are spread over the layers, one after the other."""
    rows = [
        ("r", "t", 8, 0, k % layers, "forward", k // layers, target, share, share - 0.03, share + 0.03, 0.015)
        for target, own in values.items()
        for k, share in enumerate(own)
    ]
    return pd.DataFrame(rows, columns=list(SHARE_COLUMNS))


def test_bars_are_the_largest_shares_and_all_others_one():
    own = [0.01 * k for k in range(12)] + [0.4, -0.2]
    table = share_table({"count": own, "latch": [1.0] + 13 * [0.0], "lost": 14 * [float("nan")]})
    figure = shares(known_shares(table))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["count", "latch"]
    first = figure.axes[0]
    names = [label.get_text() for label in first.get_yticklabels()]
    assert names == ["unit 12", "unit 11", "unit 10", "unit 9", "unit 8", "unit 7", "unit 6", "unit 13", "6 others"]
    widths = [bar.get_width() for bar in first.patches]
    assert widths == pytest.approx([0.4, 0.11, 0.1, 0.09, 0.08, 0.07, 0.06, -0.2, 0.15]) and len(names) == MOST + 1
    (lines,) = first.collections
    assert lines.get_segments()[0][:, 0].tolist() == pytest.approx([0.37, 0.43])
    assert first.get_xlim()[0] < -0.23
    check_layout(figure)


def test_one_unit_more_than_fits_is_named_instead_of_called_others():
    shown, rest, others = rows_of(share_table({"a": [0.1] * (MOST + 1)}))
    assert len(shown) == MOST + 1 and others == 0 and rest == 0


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("targets", [1, 2, 7])
def test_it_fits(layers, targets):
    values = {f"a rather long name of a target {k}": [0.5, 0.3, 0.1, -0.1] * (1 + 4 * (k % 2)) for k in range(targets)}
    check_layout(shares(share_table(values, layers)))


def test_the_small_table_has_the_three_largest_of_each_target():
    table = share_table({"b": [0.1, 0.5, 0.2, 0.3], "a": [0.9, 0.0, 0.0, 0.1], "lost": [float("nan")] * 4})
    small = largest_shares(table)
    assert small["target"].tolist() == ["b"] * 3 + ["a"] * 3 and small["unit"].tolist()[:4] == [1, 3, 2, 0]
    assert len(largest_shares(table[:0])) == 0
