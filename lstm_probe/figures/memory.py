"""Memory curves: how well units predict a signal's past values, against how many steps ago those were."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from lstm_probe.core.order import UNIT, several_layers, shown_variable, signal_order, unit_label
from lstm_probe.core.vocabulary import VARIABLE_MEANINGS
from lstm_probe.figures.style import GREY, line_styles, new_figure, styled

#: As many units can be told apart.
MOST_UNITS = 5

_BASELINES: dict[str, tuple[str, Any]] = {
    "untrained": ("untrained", (0, (1.2, 1.2))),
    "signal_itself": ("signal itself", (0, (4, 1.5))),
}
# In inches: a panel, room for its labels, and what stands around all panels.
_WIDE, _TALL, _LABELS, _LEFT, _TITLE, _BELOW, _HEAD = 2.7, 1.75, 1.2, 0.55, 0.3, 0.45, 0.3
_LINE, _LOW, _HIGH = 0.145, -0.03, 1.04


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


def _name(axes: Axes, lines: list[tuple[str, pd.Series, dict[str, Any]]]) -> None:
    """Write the names of lines beside their ends, moved apart where those meet."""
    # Of lines that end together, the one that was higher has its name above.
    lines = sorted(lines, key=lambda line: (round(line[1].iloc[-1], 1), line[1].mean()))
    shares = [(curve.iloc[-1] - _LOW) / (_HIGH - _LOW) for _, curve, _ in lines]
    for (name, _, style), place in zip(lines, spread_out(shares, _LINE / _TALL, 0.02, 0.98)):
        sample = {"transform": axes.transAxes, "clip_on": False, "markersize": 4, "markevery": [1]}
        axes.plot([1.05, 1.08, 1.11], [place] * 3, lw=1.5, **style | sample)
        axes.text(1.13, place, name, transform=axes.transAxes, va="center", color=style["color"], fontsize=8)


def _draw(axes: Axes, own: pd.DataFrame, layers: bool) -> None:
    """Draw one signal's panel."""
    lags = sorted(own["lag"].unique())
    lines = []
    for key, (name, dashes) in _BASELINES.items():
        # Layers have different untrained units: the highest level is to be beaten.
        lines.append((name, own.groupby("lag")[key].max(), {"color": GREY, "linestyle": dashes}))
    best = _best_units(own)
    labels = [f"unit {unit_label(key, layers)}" for key in best]
    for key, (label, style) in zip(best, line_styles(labels).items()):
        effect = own.set_index(UNIT).sort_index().loc[[key]].set_index("lag")["effect"].sort_index()
        lines.append((label, effect, style))
    for _, curve, style in lines:
        axes.plot(curve.index, curve, lw=1.5 if "marker" in style else 1.2, markersize=3, **style)
    _name(axes, lines)
    # Lags that grow like these are evenly spaced.
    axes.set_xscale("function", functions=(np.log1p, np.expm1))
    axes.xaxis.set_major_locator(FixedLocator(lags))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(ylim=(_LOW, _HIGH), xlim=(lags[0], lags[-1] + 0.02 * (1 + lags[-1])), yticks=[0, 0.5, 1])
    axes.grid(True)
    axes.set_axisbelow(True)


@styled
def memory(table: pd.DataFrame, *, variable: str = "c") -> Figure:
    """Draw effect against lag, a panel for each signal, of the units that remember it best.

    Args:
        table: columns `MEMORY_COLUMNS`; a signal without any score has no panel.
        variable: which of a unit's variables is shown; the first one there is where this is not.
    """
    variable = shown_variable(table, variable)
    shown = table[(table["variable"] == variable) & table["effect"].notna()]
    signals = signal_order(shown)
    layers = several_layers(list(shown[UNIT].drop_duplicates().itertuples(index=False, name=None)))
    columns = min(2, max(1, len(signals)))
    rows = max(1, -(-len(signals) // columns))
    cell, row = _LEFT + _WIDE + _LABELS, _TITLE + _TALL + _BELOW
    width, height = cell * columns, _HEAD + row * rows
    figure = new_figure(width, height)
    for k, signal in enumerate(signals):
        own = shown[shown["signal"] == signal]
        x, y = cell * (k % columns) + _LEFT, height - _HEAD - row * (k // columns) - _TITLE - _TALL
        axes = figure.add_axes((x / width, y / height, _WIDE / width, _TALL / height))
        _draw(axes, own, layers)
        role = own["role"].iloc[0]
        axes.set_title(signal + ("" if role == "target" else f" ({role})"), fontsize=9, pad=4)
        axes.set_xlabel("steps ago", labelpad=1)
        axes.set_ylabel("effect", labelpad=2)
    word = VARIABLE_MEANINGS[variable].split(":")[0]
    note = f"How well a unit's {word} {variable} predicts past values"
    figure.text(0.1 / width, 1 - 0.1 / height, note, weight="bold", size=10, ha="left", va="top")
    return figure
