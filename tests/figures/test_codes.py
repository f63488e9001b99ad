"""The pictures of codes and of sparse paths show the numbers of their tables, and fit."""

import numpy as np
import pandas as pd
import pytest

from lstm_probe.core.columns import SIGNAL_CODE_COLUMNS, SPARSE_COLUMNS
from lstm_probe.figures.codes import codes
from lstm_probe.figures.sparse_paths import sparse_paths
from tests.figures.made import check_layout, drawn_texts


def code_row(signal, effect, best, rotated, high, code, **other):
    row = dict.fromkeys(SIGNAL_CODE_COLUMNS, 0.0) | {
        "run": "r", "task": "t", "units": 8, "seed": 0, "layer": 0, "direction": "forward", "variable": "c",
        "signal": signal, "kind": "continuous", "role": "target", "lag": 0, "effect": effect, "best_unit": 3,
        "best_effect": best, "second_unit": 6, "second_effect": best / 2, "rest": best / 2, "varying": 8,
        "rotated": rotated, "rotated_high": high, "p_rotation": 0.5, "code": code,
    }  # fmt: skip
    return row | other


def code_table(*rows):
    whole = {"best_unit": "Int64", "second_unit": "Int64"}
    return pd.DataFrame(rows, columns=list(SIGNAL_CODE_COLUMNS)).astype(whole)


NOTHING = (np.nan, np.nan, np.nan, np.nan, "undefined")


def test_codes_draw_unit_band_and_population_in_reading_order():
    table = code_table(
        code_row("step", 0.3, 0.2, 0.1, 0.25, "distributed", role="nuisance"),
        code_row("count", 0.9, 0.4, 0.2, 0.3, "none", lag=4),
        code_row("count", 0.99, 0.95, 0.5, 0.7, "localist", best_unit=5),
        code_row("flat", *NOTHING, best_unit=pd.NA),
        code_row("count", 0.1, 0.1, 0.1, 0.1, "none", variable="h"),
        code_row("twice", 0.99, 0.98, 0.5, 0.7, "copies", second_effect=0.97, role="latent"),
        code_row("torn", 0.99, 0.8, 0.5, 0.7, "not told apart", role="latent"),
    )
    figure = codes(table)
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        "count, lag 0", "flat, lag 0", "twice, lag 0", "torn, lag 0", "step, lag 0"
    ]  # fmt: skip
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]
    assert bars[0] == pytest.approx((0.5, 0.7)) and bars[4] == pytest.approx((0.1, 0.25))
    drawn = {m: [line.get_xdata()[0] for line in axes.lines if line.get_marker() == m] for m in "oD"}
    assert drawn["o"][1::2] == pytest.approx([0.95, np.nan, 0.98, 0.8, 0.2], nan_ok=True)
    assert drawn["o"][::2] == pytest.approx([0.475, np.nan, 0.97, 0.4, 0.1], nan_ok=True)
    assert drawn["D"] == pytest.approx([0.99, np.nan, 0.99, 0.99, 0.3], nan_ok=True)
    white = [line.get_markerfacecolor() == "white" for line in axes.lines if line.get_marker() == "o"]
    assert white[1::2] == [False, True, False, True, True] and white[::2] == [True, True, False, True, True]
    assert axes.get_xlabel() == "held-out R²"
    words = [t.get_text() for t in axes.texts]
    assert words == ["localist: unit 5", "undefined", "copies: units 3, 6", "not told apart", "distributed"]
    assert "c (memory)" in " ".join(t.get_text() for t in figure.texts)
    check_layout(figure)


@pytest.mark.parametrize(("signals", "layers"), [(1, 1), (13, 1), (3, 3)])
def test_codes_fit(signals, layers):
    kinds = [(0.9, 0.9, 0.3, 0.5, "localist"), (0.9, 0.2, 0.1, 0.3, "distributed"), (0.1, 0, 0, 0, "none"), NOTHING]
    rows = [
        code_row("signal" * (1 + k % 4) + str(k), *kinds[k % 4], layer=layer, direction=direction, best_unit=127)
        for k in range(signals)
        for layer in range(layers)
        for direction in ("forward", "reverse")[: 1 + (layers > 1)]
    ]
    figure = codes(code_table(*rows))
    assert len(figure.axes) == layers * (1 + (layers > 1))
    check_layout(figure)


def sparse_table(signals, effects, layers=1, **other):
    about = dict.fromkeys(SPARSE_COLUMNS, 0) | {"direction": "forward", "variable": "c", "role": "target"}
    rows = [
        about | {"layer": layer, "signal": s, "method": method, "n_units": n + 1, "effect": e, **other}
        for layer in range(layers)
        for s in signals
        for method, path in effects.items()
        for n, e in enumerate(path)
    ]
    return pd.DataFrame(rows, columns=list(SPARSE_COLUMNS))


def test_sparse_paths_draw_both_methods_and_mark_where_90_percent_is_reached():
    effects = {"greedy": [0.5, 0.73, 0.8], "elastic_net": [0.4, 0.7, 0.79]}
    table = pd.concat([
        sparse_table(["count"], effects),
        sparse_table(["count"], {"greedy": [0.1, 0.1, 0.1]}, lag=3),
        sparse_table(["flat"], {"greedy": [np.nan] * 3, "elastic_net": [np.nan] * 3}),
    ])  # fmt: skip
    figure = sparse_paths(table)
    first, second = figure.axes
    assert first.get_title(loc="left") == "count, lag 0" and second.get_title(loc="left") == "flat"
    level, *lines = first.lines
    assert level.get_ydata()[0] == pytest.approx(0.72)
    assert [list(line.get_ydata()) for line in lines[::2]] == list(effects.values())
    assert [line.get_xydata().tolist() for line in lines[1::2]] == [[[2, 0.73]], [[3, 0.79]]]
    assert [t.get_text() for t in second.texts] == ["undefined"] and not second.lines
    shown = [t.get_text() for t in drawn_texts(figure)]
    assert "greedy" in shown and "elastic net" in shown
    check_layout(figure)


@pytest.mark.parametrize(
    ("signals", "layers", "most"), [(["a"], 1, 1), (["a", "b" * 40], 1, 16), ([f"signal_{k}" for k in range(13)], 2, 8)]
)
def test_sparse_paths_fit(signals, layers, most):
    path = list(np.linspace(0.2, 1, most))
    check_layout(sparse_paths(sparse_table(signals, {"elastic_net": path}, layers)))
    check_layout(sparse_paths(sparse_table(signals, {"greedy": path, "elastic_net": path}, layers)))
