"""Partial effects and readouts at other times: what is drawn is what the tables say, and nothing is cut."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection, QuadMesh

from lstm_probe.core.columns import CONFOUND_COLUMNS, CROSS_TIME_COLUMNS
from lstm_probe.figures.confounds import confounds
from lstm_probe.figures.cross_time import cross_time
from tests.figures.made import check_layout, drawn_texts

NAMES = ["count", "a_very_long_signal_name", "latch", "ticks", "step"]
ROLES = dict(zip(NAMES, ("target", "target", "latent", "distractor", "nuisance")))
START = {"run": "r", "task": "t", "units": 4, "seed": 0, "layer": 0, "direction": "forward", "variable": "c"}


def pair(unit, signal, effect, partial, collinear_with="", **other):
    row = {
        **START, "unit": unit, "signal": signal, "kind": "continuous", "role": ROLES[signal], "lag": 0,
        "effect": effect, "partial": partial, "ci_low": partial, "ci_high": partial, "collinear_with": collinear_with,
    }  # fmt: skip
    return row | other


def pairs(*rows):
    return pd.DataFrame(rows, columns=list(CONFOUND_COLUMNS))


def words(figure):
    return [text.get_text() for text in drawn_texts(figure)]


def dots(figure, hollow):
    """Places of the dots that are filled, or that are not."""
    found = []
    for drawn in figure.axes[0].collections:
        if isinstance(drawn, PathCollection) and len(drawn.get_offsets()):
            is_hollow = (drawn.get_facecolor()[0, :3] == 1).all()
            found += [tuple(map(float, dot)) for dot in drawn.get_offsets()] if is_hollow == hollow else []
    return sorted(found)


def test_dots_are_the_table_from_a_quarter_on():
    table = pairs(
        pair(0, "count", 0.9, 0.2), pair(1, "count", 0.24, 0.9), pair(2, "latch", 0.5, 0.55, collinear_with="ticks"),
        pair(3, "ticks", 0.6, 0.6), pair(3, "step", 0.8, float("nan")), pair(1, "ticks", 0.7, 0.1, variable="h"),
    )  # fmt: skip
    figure = confounds(table)
    assert dots(figure, hollow=False) == [(0.6, 0.6), (0.9, 0.2)] and dots(figure, hollow=True) == [(0.5, 0.55)]
    assert figure.axes[0].get_xlabel().startswith("effect") and figure.axes[0].get_ylabel().startswith("partial effect")
    told = [text.replace("\n", " ") for text in words(figure)]
    assert [text for text in told if text.startswith("unit")] == ["unit 0", "unit 2", "unit 3"]
    assert [text for text in told if text in ("count", "latch (latent)", "ticks (distractor)")] == [
        "count", "latch (latent)", "ticks (distractor)"
    ]  # fmt: skip
    note = next(text for text in told if text.startswith("on the line"))
    assert "hollow: another signal, or a part of one, is nearly the same" in note
    assert note.endswith("all else explains it fully: step")
    plain = " ".join(words(confounds(table.head(1))))
    assert "hollow" not in plain and "not shown" not in plain
    assert dots(confounds(table, variable="h"), hollow=False) == [(0.7, 0.1)]


@pytest.mark.parametrize(("n", "layers"), [(0, 1), (1, 1), (40, 1), (300, 2)])
def test_no_label_of_a_dot_is_cut_or_hides_another(n, layers):
    rng = np.random.default_rng(n)
    rows = [
        pair(
            k,
            NAMES[k % 5],
            *rng.uniform(0.2, 1, 2),
            collinear_with="x" * (k % 3 == 0),
            layer=int(rng.integers(layers)),
        )
        for k in range(n)
    ]
    figure = confounds(pairs(*(rows or [pair(0, "count", 0.1, 0.1)])))
    check_layout(figure)
    assert (n > 0) == ("no unit has an effect of 0.25" not in words(figure))
    # Each label belongs to a dot of its own signal's colour, and no other dot lies in it.
    named = [text for text in figure.axes[0].texts if text.get_text().startswith("unit")]
    assert len(named) <= 8 and (n < 40 or layers > 1 or named)
    to_pixels = figure.axes[0].transData.transform
    for text in named:
        box = text.get_window_extent()
        for dot in to_pixels(dots(figure, False) + dots(figure, True)):
            assert not (box.x0 < dot[0] < box.x1 and box.y0 < dot[1] < box.y1)


def crossed(names, times, along="step", seed=0, **other):
    """A table with random effects."""
    rng = np.random.default_rng(seed)
    fixed = {**START, "kind": "continuous", "along": along, "metric": "r2", "score": 0.0}
    rows = []
    for name in names:
        about = {"signal": name, "role": ROLES[name]}
        for a, b in product(times, times):
            rows.append(fixed | about | {"fitted": a, "tested": b, "effect": rng.random()} | other)
    return pd.DataFrame(rows, columns=list(CROSS_TIME_COLUMNS))


def panels(figure):
    """Each panel's axes and cells, by title."""
    found = {}
    for axes in figure.axes:
        if axes.get_title(loc="left"):
            mesh = next(c for c in axes.collections if isinstance(c, QuadMesh))
            found[axes.get_title(loc="left")] = (axes, mesh.get_array())
    return found


def test_cells_are_the_tables_with_times_rising_up_and_to_the_right():
    table = crossed(["latch", "count"], (5, 0, 20))
    table.loc[table["fitted"].eq(0) & table["tested"].eq(20), "effect"] = float("nan")
    both = pd.concat([table, crossed(["count"], (0, 1), along="lag"), crossed(["count"], (0, 5), variable="h")])
    figure = cross_time(both)
    assert list(panels(figure)) == ["count", "latch"]
    for name, (axes, cells) in panels(figure).items():
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert labels == [label.get_text() for label in axes.get_yticklabels()] == ["0", "5", "20"]
        assert not axes.yaxis_inverted()
        own = table[table["signal"] == name].set_index(["fitted", "tested"])["effect"]
        for y, fitted in enumerate((0, 5, 20)):
            for x, tested in enumerate((0, 5, 20)):
                if (fitted, tested) == (0, 20):
                    assert cells.mask[y, x]
                else:
                    assert cells[y, x] == own[fitted, tested]
    told = " ".join(words(figure))
    assert "fitted in the window from step" in told and "grey: undefined" in told and "effect: 0 = chance" in told
    lags = cross_time(both, along="lag")
    assert panels(lags)["count"][1].shape == (2, 2)
    assert "tested as the value … steps ago" in words(lags) and "grey" not in " ".join(words(lags))
    assert panels(cross_time(both, variable="h"))["count"][1].shape == (2, 2)


@pytest.mark.parametrize(
    ("names", "times"), [(NAMES[:1], (0, 1)), (NAMES, range(0, 300, 10)), (NAMES[1:4], (0, 7, 90))]
)
@pytest.mark.parametrize("layers", [1, 2])
def test_nothing_is_cut_or_overlaps(names, times, layers):
    both = [crossed(names, times, layer=k, direction=d) for k in range(layers) for d in ("forward", "reverse")[:layers]]
    figure = cross_time(pd.concat(both))
    check_layout(figure)
    assert len(panels(figure)) == len(names) * layers**2
    assert layers == 1 or f"layer 1←: {names[0]}" in panels(figure)
