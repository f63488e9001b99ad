"""How many units does it take? Effect against number of units, for each signal."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lstm_probe.core.order import shown_variable, signal_order
from lstm_probe.figures.codes import BLOCK, block_name
from lstm_probe.figures.style import GREY, line_styles, new_figure, styled, text_width

#: The share of the highest effect that is marked.
SHARE = 0.9

NAMES = {"greedy": "greedy", "elastic_net": "elastic net"}

# All in inches.
_PANEL, _ACROSS, _DOWN, _LEFT, _RIGHT, _TOP, _BOTTOM = (1.75, 1.15), 0.35, 0.62, 0.58, 0.15, 0.62, 0.85
_COLUMNS, _LEAST = 5, 5.2


def _draw(axes: Axes, table: pd.DataFrame, styles: dict[str, dict[str, Any]]) -> None:
    """Draw each method's line, with a mark where it first comes to 90 % of the highest effect."""
    best = table["effect"].max()
    axes.set(ylim=(-0.04, 1.08), xlim=(0.4, table["n_units"].max() + 0.6))
    if pd.isna(best):
        axes.text(0.5, 0.5, "undefined", transform=axes.transAxes, ha="center", va="center", color=GREY)
    else:
        axes.axhline(SHARE * best, color=GREY, lw=0.8, ls=(0, (1, 2)), zorder=1)
        for method, own in table.groupby("method", sort=False):
            own = own.sort_values("n_units")
            style = styles[str(method)]
            axes.plot(own["n_units"], own["effect"], **style | {"marker": ""})
            enough = own[own["effect"] >= SHARE * best].head(1)
            axes.plot(enough["n_units"], enough["effect"], **style | {"linestyle": "none"})
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    axes.set_yticks([0, 0.5, 1])
    axes.grid(True)
    axes.set_axisbelow(True)


@styled
def sparse_paths(table: pd.DataFrame, *, variable: str = "c") -> Figure:
    """Draw the held-out effect of the best 1, 2, ... units together, a panel for each layer and signal.

    The dotted line is 90 % of the highest effect in the panel; a mark stands where a line first reaches it.

    Args:
        table: columns `SPARSE_COLUMNS`. Of several lags, the one with the highest effect is shown.
        variable: whose units are shown; the first one there where this one is not.
    """
    variable = shown_variable(table, variable)
    own = table[table["variable"] == variable].reset_index(drop=True)
    methods = list(own["method"].unique())
    # Where two lines are the same, the one below shows on both sides of the other, and its mark around its.
    styles = {
        method: style
        | {"lw": 3.0 - 1.9 * k, "markersize": 8.5 - 4 * k, "markerfacecolor": ("white", style["color"])[k]}
        for k, (method, style) in enumerate(line_styles(methods).items())
    }
    place = {signal: k for k, signal in enumerate(signal_order(table))}
    several = own[BLOCK].drop_duplicates().shape[0] > 1
    panels: list[Any] = list(own.groupby([*BLOCK, "signal"]))
    panels.sort(key=lambda panel: (*panel[0][:2], place[panel[0][2]]))
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    head = f"How many units does it take? {block_name(0, 'forward', variable, False)}"
    wide, tall = _PANEL
    width = max(_LEFT + columns * wide + (columns - 1) * _ACROSS + _RIGHT, _LEAST)
    height = _TOP + rows * tall + (rows - 1) * _DOWN + _BOTTOM
    figure = new_figure(width, height)
    for k, ((layer, direction, signal), frame) in enumerate(panels):
        x, y = _LEFT + k % columns * (wide + _ACROSS), _TOP + k // columns * (tall + _DOWN) + tall
        axes = figure.add_axes((x / width, 1 - y / height, wide / width, tall / height))
        lag = frame["lag"][frame["effect"].idxmax()] if frame["effect"].notna().any() else frame["lag"].min()
        _draw(axes, frame[frame["lag"] == lag], styles)
        where = f"{layer}{'←' if direction == 'reverse' else ''}·" if several else ""
        title = f"{where}{signal}" + (f", lag {lag}" if frame["lag"].nunique() > 1 else "")
        size = min(9.0, 9.0 * (wide + _ACROSS - 0.1) / (1.15 * text_width(title, 9)))
        axes.set_title(title, fontsize=size, pad=4)
        if k % columns:
            axes.set_yticklabels([])
    figure.text(0.08 / width, 1 - 0.1 / height, head, weight="bold", size=10, va="top")
    figure.supxlabel("number of units", y=0.42 / height, x=0.5, va="bottom", fontsize=9)
    figure.supylabel("held-out effect", x=0.08 / width, va="center", fontsize=9)
    handles = [Line2D([], [], label=NAMES[m], **styles[m]) for m in methods]
    handles.append(Line2D([], [], color=GREY, lw=0.8, ls=(0, (1, 2)), label="90 % of the highest; marks: first there"))
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.08 / width, 0.06 / height), ncols=len(handles),
        borderaxespad=0, columnspacing=1.2,
    )  # fmt: skip
    return figure
