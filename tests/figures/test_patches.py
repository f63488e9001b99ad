"""The picture of interchange shows the numbers of its table, and fits."""

import pandas as pd
import pytest

from lstm_probe.causal.patches import COLUMNS
from lstm_probe.figures.shares import patches
from lstm_probe.runs.illustrations import first_patches, read_from
from tests.figures.made import check_layout


def table(units, targets):
    rows = []
    for target in targets:
        for signal in ("any", "count"):
            for after in (1, 5):
                for unit in range(units):
                    moved = 1 / (unit + 2) / after if target != "still" else float("nan")
                    rows.append(dict.fromkeys(COLUMNS, 0.0) | {
                        "layer": 0, "direction": "forward", "unit": unit, "signal": signal, "target": target,
                        "after": after, "moved": moved, "ci_low": moved - 0.02, "ci_high": moved + 0.02,
                        "reads": "yes" if moved > 0.12 else "no",
                    })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("units", [2, 20])
def test_bars_are_the_shares_one_step_later(units):
    figure = patches(first_patches(table(units, ["count", "a long name of a target", "still"])))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["count", "a long name of a target"]
    assert [bar.get_width() for bar in figure.axes[0].patches][:2] == pytest.approx([1 / 2, 1 / 3])
    assert any("whole state of another sequence moves, 1 step later" in text.get_text() for text in figure.texts)
    check_layout(figure)


def test_the_small_table_names_the_units_that_are_read():
    small = read_from(table(9, ["count", "still"]))
    assert small.reads_from.tolist() == ["0 (0.50), 1 (0.33), 2 (0.25)", "no single unit"]
    assert small.sum_over_units.tolist() == [f"{sum(1 / (k + 2) for k in range(9)):.2f}", ""]
