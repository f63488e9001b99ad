"""The overview: its cells and marks are the tables', both sides have one order, and everything fits."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import rcParams
from matplotlib._pylab_helpers import Gcf
from matplotlib.collections import PathCollection, QuadMesh

from lstm_probe.causal.status import unit_statuses
from lstm_probe.figures import units_overview
from tests.figures.made import ablation_row, ablations, check_layout, probe_row, probes, random_tables

SIGNALS = ["count", "a_very_long_signal_name", "latch", "ticks", "step"]


def heatmaps(figure):
    return [axes for axes in figure.axes if axes.get_ylabel() == "" and axes.yaxis_inverted()]


def cells(axes):
    mesh = next(c for c in axes.collections if isinstance(c, QuadMesh))
    return mesh.get_array()


def marks(axes, which=0):
    dots = [c for c in axes.collections if isinstance(c, PathCollection)][which]
    return {(int(y), int(x)) for x, y in dots.get_offsets()}


@pytest.mark.parametrize(
    ("units", "signals", "layers"), [(1, 1, 1), (2, 1, 1), (8, 5, 2), (33, 2, 1), (128, 20, 1), (16, 11, 3)]
)
def test_nothing_is_cut_or_overlaps(units, signals, layers):
    names = [f"{SIGNALS[k % 5]}{k}" for k in range(signals)]
    check_layout(units_overview(*random_tables(units, names, layers)))


def test_cells_and_marks_are_the_tables():
    table, costs = random_tables(12, SIGNALS, layers=2)
    costs = costs.assign(score_drop=0.5, alone=costs["needed"] == "alone")
    order = unit_statuses(table, costs).index
    left, right = heatmaps(units_overview(table, costs))
    for axes, source, column, flag, values in (
        (left, table, "signal", "tracks", SIGNALS),
        (right, costs, "target", "alone", SIGNALS[:2]),
    ):
        shown = cells(axes)
        labels = [label.get_text().split("\n")[0].split(",")[0] for label in axes.get_xticklabels()]
        assert sorted(labels) == sorted(values)
        expected_marks = set()
        for y, (layer, _, unit) in enumerate(order):
            assert axes.get_yticklabels()[y].get_text() == f"{layer}·{unit}"
            for x, name in enumerate(labels):
                row = source[(source["layer"] == layer) & (source["unit"] == unit) & (source[column] == name)]
                assert shown[y, x] == pytest.approx(row["effect" if column == "signal" else "refit_drop"].item())
                if row[flag].item():
                    expected_marks.add((y, x))
        assert marks(axes) == expected_marks


def test_what_is_needed_together_has_a_ring_and_an_earlier_version_has_no_marks():
    table = probes(*(probe_row(unit, "a", 0.1) for unit in range(4)))
    needs = ("alone", "together", "no", "together")
    costs = [ablation_row(unit, name, 0.1 * (4 - unit), needed=need if name == "a" else "no")
             for unit, need in enumerate(needs) for name in "ab"]  # fmt: skip
    figure = units_overview(table, ablations(*costs))
    right = heatmaps(figure)[1]
    assert [int(label.get_text()) for label in right.get_yticklabels()] == [0, 1, 3, 2]
    assert marks(right) == {(0, 0)} and marks(right, 1) == marks(right, 2) == {(1, 0), (2, 0)}
    words = [text.get_text().replace("\n", " ") for text in figure.texts] + [text.get_text() for text in right.texts]
    assert any(text.endswith("dot: needed alone; ring: needed together") for text in words)
    assert words[-3:] == ["needed alone, nothing found", "needed together, nothing found", "nothing found, not needed"]
    check_layout(figure)
    earlier = ablations(*costs).assign(needed="not measured", refit_drop=np.nan, score_drop=0.7)
    figure = units_overview(table, earlier)
    right = heatmaps(figure)[1]
    assert (cells(right) == 0.7).all() and marks(right) == set()
    assert not any("needed" in text.get_text() for text in [*figure.texts, *right.texts])
    assert any("as it stands" in text.get_text() for text in figure.texts)
    check_layout(figure)


def test_the_best_lag_is_shown_and_an_undefined_signal_stays_empty():
    table = probes(
        probe_row(0, "a", 0.7, True, lag=2), probe_row(0, "a", 0.3), probe_row(0, "flat", float("nan")),
        probe_row(0, "a", 0.99, True, variable="h"),
    )  # fmt: skip
    figure = units_overview(table, ablations(ablation_row(0, "a", 0.0)))
    shown = cells(heatmaps(figure)[0])
    assert shown[0, 0] == 0.7 and np.ma.getmaskarray(shown).tolist() == [[False, True]]
    assert marks(heatmaps(figure)[0]) == {(0, 0)}
    words = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert "best of lags 0, 2" in words and "undefined" in words


def test_no_global_state_is_left():
    before = dict(rcParams)
    units_overview(*random_tables(3, SIGNALS))
    assert dict(rcParams) == before and not Gcf.figs


def test_what_is_held_in_another_way_has_a_ring():
    """Unit 0 tracks a; 1 holds a from earlier; 2 tracks b along a curve; 3 nothing."""
    table = probes(*(probe_row(unit, name, 0.9 if (unit, name) == (0, "a") else 0.1, (unit, name) == (0, "a"))
                     for unit in range(4) for name in "ab")).assign(curved=0.8, tracks_curved=False)  # fmt: skip
    table.loc[(table.unit == 2) & (table.signal == "b"), "tracks_curved"] = True
    memory = pd.DataFrame([probe_row(unit, "a", 0.9, lag=3, signal_itself=0.0, held=unit < 2, variable=variable)
                           for unit in (0, 1, 3) for variable in "cf"])  # fmt: skip
    memory.loc[(memory.unit == 3) & (memory.variable == "f"), "held"] = True
    figure = units_overview(table, ablations(ablation_row(0, "a", 0.0)), memory=memory)
    left, right = heatmaps(figure)
    order = [int(label.get_text()) for label in left.get_yticklabels()]
    assert order == [0, 1, 2, 3] and marks(left) == {(0, 0)}
    assert marks(left, 1) == marks(left, 2) == {(1, 0), (2, 1)}
    assert len([c for c in right.collections if isinstance(c, PathCollection)]) == 1
    assert any("ring: earlier, or along a curve" in text.get_text().replace("\n", " ") for text in figure.texts)
    check_layout(figure)
    assert not any("ring" in text.get_text() for text in units_overview(*random_tables(3, SIGNALS)).texts)


def test_where_there_is_no_room_for_all_the_last_row_is_the_largest_of_the_others():
    table, costs = random_tables(150, SIGNALS)
    figure = units_overview(table, costs, style="paper", width="column")
    left, right = heatmaps(figure)
    *kept, last = [label.get_text() for label in left.get_yticklabels()]
    assert last == f"{150 - len(kept)} others" and len({int(unit) for unit in kept}) == len(kept) > 12
    names = [label.get_text().split(",")[0] for label in right.get_xticklabels()]
    others = costs[~costs["unit"].isin([int(unit) for unit in kept])]
    assert list(cells(right)[-1]) == pytest.approx(list(others.groupby("target")["refit_drop"].max()[names]))
    assert any("largest of" in text.get_text().replace("\n", " ") for text in figure.texts)
    assert figure.get_figheight() <= 9.2
    some, few = random_tables(8, SIGNALS)
    everyone = heatmaps(units_overview(some, few, style="paper", width="column"))[0].get_yticklabels()
    assert sorted(int(label.get_text()) for label in everyone) == list(range(8))
