"""When signals were learned: the effect of each signal's best unit along a training."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import word_of
from lstm_probe.core.order import UNIT, UnitKey, several_layers, shown_variable, signal_order, unit_label
from lstm_probe.figures.sheet import MARGIN, Sheet, legend_width
from lstm_probe.figures.style import GREY, LEGEND_LINE, available_width, font, letters, line_styles, styled, text_width

_WIDE = 4.5  # inches


def _best_unit(own: pd.DataFrame) -> UnitKey:
    """Return the unit that tells a signal best at the last checkpoint, one that tracks it if there is one."""
    end = own[own["update"] == own["update"].max()]
    best = end.sort_values(["tracks", "effect"], ascending=False, kind="stable").iloc[0]
    return int(best["layer"]), str(best["direction"]), int(best["unit"])


@styled
def acquisition(table: pd.DataFrame, *, variable: str = "c", cell: Cell | None = None) -> Figure:
    """Draw effect against updates, a line for the best unit of each signal; thin and dashed where no unit tracks it.

    Args:
        table: of `learning_curves`; a signal without any score has no line. Of several lags, the first.
        variable: which of a unit's variables is shown; the first one there is where this is not.
        cell: what the units are, for the words; None: an LSTM.
    """
    shown = table[(table["variable"] == shown_variable(table, variable)) & table["effect"].notna()]
    shown = shown[shown["lag"] == shown["lag"].min()]
    layers = several_layers(list(shown[UNIT].drop_duplicates().itertuples(index=False, name=None)))
    lines = []
    for signal in signal_order(shown):
        own = shown[shown["signal"] == signal]
        key = _best_unit(own)
        curve = own[(own[UNIT] == list(key)).all(axis=1)].sort_values("update")
        tracked = bool(curve["tracks"].iloc[0])
        name = f"{signal}: unit {unit_label(key, layers)}" + ("" if tracked else " (not tracked)")
        lines.append((name, curve, tracked))
    score = shown.drop_duplicates("update").sort_values("update")
    names = [name for name, _, _ in lines]
    beside, left = legend_width([*names, "lowest score of a target"]), letters(0.47)
    width = available_width(MARGIN + left + _WIDE + beside)
    beside = beside if width - left - beside > letters(3.0) else 0.15
    wide = width - MARGIN - left - beside
    tall = letters(2.2) if beside < 0.2 else letters(max(2.2, 0.1 + LEGEND_LINE * (len(lines) + 1)))
    sheet = Sheet(width)
    word = word_of(shown_variable(table, variable), cell)
    sheet.heading(f"What a unit's {word} {shown_variable(table, variable)} tells along training")
    axes = sheet.axes(MARGIN + left, sheet.y, wide, tall)
    sheet.y += tall + letters(0.46)
    for (name, curve, tracked), style in zip(lines, line_styles(names).values()):
        faint = {} if tracked else {"lw": 0.9, "linestyle": (0, (3, 2)), "marker": ""}
        if tracked:
            axes.fill_between(
                curve["update"], curve["ci_low"], curve["ci_high"], color=style["color"], alpha=0.15, lw=0
            )
        axes.plot(curve["update"], curve["effect"], label=name, **{"lw": 1.5, "markersize": 3.5, **style, **faint})
    if score["task_score"].notna().any():
        axes.plot(score["update"], score["task_score"], color=GREY, lw=1.2, ls=(0, (1, 1.5)), zorder=1,
                  label="lowest score of a target")  # fmt: skip
    updates = score["update"].to_numpy()
    scale = _first_gap(updates)
    axes.set_xscale("function", functions=(lambda x: np.log1p(x / scale), lambda y: scale * np.expm1(y)))
    axes.xaxis.set_major_locator(FixedLocator(_apart(updates, scale, wide)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="updates", ylabel="effect", ylim=(-0.03, 1.04), yticks=[0, 0.5, 1])
    axes.grid(True)
    axes.set_axisbelow(True)
    sheet.legend_of(axes, beside)
    return sheet.finished()


def _first_gap(updates: np.ndarray) -> float:
    """Return where the axis turns from even to logarithmic: between the first two checkpoints."""
    return float(updates[1] - updates[0]) if len(updates) > 1 else 1.0


def _apart(updates: np.ndarray, scale: float, wide: float) -> list[int]:
    """Return those updates whose numbers can stand below the axis without touching, the last among them."""
    places = np.log1p(updates / scale)
    room = places[-1] * (text_width(f"{updates[-1]}", font(8)) + 0.08) / (0.9 * wide)
    kept: list[int] = []
    for k in range(len(updates) - 1, -1, -1):
        if not kept or places[kept[-1]] - places[k] >= room:
            kept.append(k)
    return [int(updates[k]) for k in kept[::-1]]
