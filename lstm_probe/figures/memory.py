"""Memory curves: how well units predict a signal's past values, against how many steps ago those were."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import word_of
from lstm_probe.core.order import UNIT, UnitKey, several_layers, shown_variable, signal_order, unit_label
from lstm_probe.figures.sheet import Sheet, columns, fitting, left_out
from lstm_probe.figures.style import GREY, first_fitting, font, letters, line_styles, styled, text_width, unit_colours

#: As many units can be told apart.
MOST_UNITS = 5

_BASELINES: dict[str, tuple[str, Any]] = {
    "untrained": ("untrained", (0, (1.2, 1.2))),
    "signal_itself": ("signal itself", (0, (4, 1.5))),
}
# In inches: a panel, room for its labels, and what stands around all panels.
_WIDE, _TALL, _LABELS, _LEFT, _TITLE, _BELOW = 2.7, 1.75, 1.2, 0.47, 0.3, 0.45
_LINE, _LOW, _HIGH = 0.145, -0.03, 1.04
#: How the names of a line begin right of the panel: its sample, and the text.
_SAMPLE = (0.06, 0.14, 0.22, 0.29)


def spread_out(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places at least `gap` apart, from `low` to `high`; they are given from the lowest to the highest.

    >>> spread_out([0.0, 0.0, 0.9, 1.0], 0.25, 0.0, 1.0)
    [0.0, 0.25, 0.75, 1.0]
    """
    out, below, above = [], low - gap, high + gap
    for place in places:
        below = max(place, below + gap)
        out.append(below)
    for k in range(len(out) - 1, -1, -1):
        out[k] = above = min(out[k], above - gap)
    return out


def _best_units(own: pd.DataFrame) -> list[Any]:
    """Return the units whose effect is highest, on average over the lags."""
    mean = own.groupby(UNIT, sort=False)["effect"].mean()
    return mean.nlargest(MOST_UNITS).index.tolist()


def _name(axes: Axes, lines: list[tuple[str, pd.Series, dict[str, Any]]], wide: float) -> None:
    """Write the names of lines beside their ends, moved apart where those meet; the panel is so many inches wide."""
    # Of lines that end together, the one that was higher has its name above.
    lines = sorted(lines, key=lambda line: (round(line[1].iloc[-1], 1), line[1].mean()))
    shares = [(curve.iloc[-1] - _LOW) / (_HIGH - _LOW) for _, curve, _ in lines]
    for (name, _, style), place in zip(lines, spread_out(shares, _LINE / _TALL, 0.02, 0.98)):
        sample = {"transform": axes.transAxes, "clip_on": False, "markersize": 4, "markevery": [1]}
        axes.plot([1 + inch / wide for inch in _SAMPLE[:3]], [place] * 3, lw=1.5, **style | sample)
        axes.text(1 + _SAMPLE[3] / wide, place, name, transform=axes.transAxes, va="center", color=style["color"],
                  fontsize=font(8))  # fmt: skip


def _draw(axes: Axes, own: pd.DataFrame, order: Sequence[UnitKey], layers: bool, wide: float) -> None:
    """Draw one signal's panel: a unit's colour is its own, its mark says how well it does here."""
    lags = sorted(map(int, own["lag"].unique()))
    lines = []
    for key, (name, dashes) in _BASELINES.items():
        # Layers have different untrained units: the highest level is to be beaten.
        lines.append((name, own.groupby("lag")[key].max(), {"color": GREY, "linestyle": dashes}))
    best = _best_units(own)
    labels = [f"unit {unit_label(key, layers)}" for key in best]
    curves = dict(list(own.set_index("lag").groupby(UNIT)["effect"]))
    colours = unit_colours(best, order)
    for key, (label, style) in zip(best, line_styles(labels).items()):
        lines.append((label, curves[key].sort_index(), style | {"color": colours[key]}))
    for _, curve, style in lines:
        axes.plot(curve.index, curve, lw=1.5 if "marker" in style else 1.2, markersize=3, **style)
    _name(axes, lines, wide)
    # Lags that grow like these are evenly spaced.
    axes.set_xscale("function", functions=(np.log1p, np.expm1))
    axes.xaxis.set_major_locator(FixedLocator(_apart(lags, wide)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(ylim=(_LOW, _HIGH), xlim=(lags[0], lags[-1] + 0.02 * (1 + lags[-1])), yticks=[0, 0.5, 1])
    axes.grid(True)
    axes.set_axisbelow(True)


def _apart(lags: list[int], wide: float) -> list[int]:
    """Return those lags whose numbers can stand below so wide an axis without touching."""
    end = np.log1p(lags[-1] + 0.02 * (1 + lags[-1])) - np.log1p(lags[0])
    kept: list[int] = []
    for lag in lags:
        room = text_width(f"{lag}", font(8)) + 0.06
        if not kept or wide * (np.log1p(lag) - np.log1p(kept[-1])) / end >= room:
            kept.append(lag)
    return kept


@styled
def memory(
    table: pd.DataFrame, *, variable: str = "c", order: Sequence[UnitKey] = (), cell: Cell | None = None
) -> Figure:
    """Draw effect against lag, a panel for each signal, of the units that remember it best.

    Args:
        table: columns `MEMORY_COLUMNS`; a signal without any score has no panel.
        variable: which of a unit's variables is shown; the first one there is where this is not.
        order: all units of the run in its order, for one colour a unit throughout a run.
        cell: what the units are, for the words; None: an LSTM.
    """
    variable = shown_variable(table, variable)
    shown = table[(table["variable"] == variable) & table["effect"].notna()]
    signals = signal_order(shown)
    units = sorted(shown[UNIT].drop_duplicates().itertuples(index=False, name=None))
    layers = several_layers(units)
    grid = columns(len(signals), 2, left=letters(_LEFT), wide=_WIDE, right=letters(_LABELS), least=letters(4.0))
    title, tall, below = letters(_TITLE), letters(_TALL), letters(_BELOW)
    number = fitting(grid, len(signals), title + tall + below, 0.7)
    sheet = Sheet(grid.width)
    word = word_of(variable, cell)
    note = left_out(len(signals) - number, "signal")
    sheet.heading(f"How well a unit's {word} {variable} predicts past values", note)
    signals = signals[:number]
    for k, signal in enumerate(signals):
        own = shown[shown["signal"] == signal]
        y = sheet.y + k // grid.number * (title + tall + below) + title
        axes = sheet.axes(grid.x(k), y, grid.wide, tall)
        _draw(axes, own, order or units, layers, grid.wide)
        role = own["role"].iloc[0]
        names = (signal,) if role == "target" else (f"{signal} ({role})", signal)
        room = grid.wide + letters(_LABELS)
        axes.set_title(first_fitting(names, font(9), room, bold=True), fontsize=font(9), pad=4)
        axes.set_xlabel("steps ago", labelpad=1)
        axes.set_ylabel("effect", labelpad=2)
    sheet.y += grid.rows(len(signals)) * (title + tall + below)
    return sheet.finished()
