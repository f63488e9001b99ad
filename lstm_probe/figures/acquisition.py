"""When signals were learned: the effect of each signal's best unit along a training."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from lstm_probe.core.order import UNIT, UnitKey, several_layers, shown_variable, signal_order, unit_label
from lstm_probe.core.vocabulary import VARIABLE_MEANINGS
from lstm_probe.figures.style import GREY, LEGEND_LINE, legend_beside, line_styles, new_figure, styled, text_width

#: As many updates have their number below the axis.
MOST_TICKS = 9


def _best_unit(own: pd.DataFrame) -> UnitKey:
    """Return the unit that tells a signal best at the last checkpoint, one that tracks it if there is one."""
    end = own[own["update"] == own["update"].max()]
    best = end.sort_values(["tracks", "effect"], ascending=False, kind="stable").iloc[0]
    return int(best["layer"]), str(best["direction"]), int(best["unit"])


@styled
def acquisition(table: pd.DataFrame, *, variable: str = "c") -> Figure:
    """Draw effect against updates, a line for the best unit of each signal; thin and dashed where no unit tracks it.

    Args:
        table: of `learning_curves`; a signal without any score has no line. Of several lags, the first.
        variable: which of a unit's variables is shown; the first one there is where this is not.
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
    beside = 0.6 + max((text_width(name, 8) for name in [*names, "lowest score of a target"]), default=1.0)
    width, height = 5.2 + beside, max(3.0, 0.9 + LEGEND_LINE * (len(lines) + 1))
    figure = new_figure(width, height)
    axes = figure.add_axes((0.55 / width, 0.46 / height, 4.5 / width, (height - 0.82) / height))
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
    axes.xaxis.set_major_locator(FixedLocator(_apart(updates, scale)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="updates", ylabel="effect", ylim=(-0.03, 1.04), yticks=[0, 0.5, 1])
    word = VARIABLE_MEANINGS[shown_variable(table, variable)].split(":")[0]
    axes.set_title(f"What a unit's {word} {shown_variable(table, variable)} tells along training")
    axes.grid(True)
    axes.set_axisbelow(True)
    legend_beside(axes)
    return figure


def _first_gap(updates: np.ndarray) -> float:
    """Return where the axis turns from even to logarithmic: between the first two checkpoints."""
    return float(updates[1] - updates[0]) if len(updates) > 1 else 1.0


def _apart(updates: np.ndarray, scale: float) -> list[int]:
    """Return those updates whose numbers can stand below the axis without touching, the last among them."""
    places = np.log1p(updates / scale)
    kept: list[int] = []
    for k in range(len(updates) - 1, -1, -1):
        if not kept or places[kept[-1]] - places[k] >= places[-1] / MOST_TICKS:
            kept.append(k)
    return [int(updates[k]) for k in kept[::-1]]
