"""How many units does it take? Effect against number of units, for each signal."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lstm_probe.cells.declared import Cell
from lstm_probe.core.order import shown_variable, signal_order
from lstm_probe.figures.codes import BLOCK, block_name
from lstm_probe.figures.sheet import MARGIN, Sheet, columns, fitting, left_out
from lstm_probe.figures.style import GREY, font, letters, line_styles, shortened, styled

#: The share of the highest effect that is marked.
SHARE = 0.9

NAMES = {"greedy": "greedy", "elastic_net": "elastic net"}

# All in inches.
_WIDE, _TALL, _ACROSS, _DOWN, _TITLE, _LEFT = 1.75, 1.15, 0.3, 0.3, 0.26, 0.5
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
def sparse_paths(table: pd.DataFrame, *, variable: str = "c", cell: Cell | None = None) -> Figure:
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
    head = f"How many units does it take? {block_name(0, 'forward', variable, False, cell)}"
    grid = columns(
        len(panels), _COLUMNS, left=0.0, wide=_WIDE, gap=_ACROSS, least=_LEAST, before=letters(_LEFT), narrow=1.3
    )
    tall, tile = letters(_TALL), letters(_TALL + _DOWN + _TITLE)
    number = fitting(grid, len(panels), tile, 1.1)
    sheet = Sheet(grid.width)
    sheet.heading(head, left_out(len(panels) - number, "panel"))
    panels, top = panels[:number], sheet.y
    for k, ((layer, direction, signal), frame) in enumerate(panels):
        axes = sheet.axes(grid.x(k), top + k // grid.number * tile + letters(_TITLE), grid.wide, tall)
        lag = frame["lag"][frame["effect"].idxmax()] if frame["effect"].notna().any() else frame["lag"].min()
        _draw(axes, frame[frame["lag"] == lag], styles)
        where = f"{layer}{'←' if direction == 'reverse' else ''}·" if several else ""
        title = f"{where}{signal}" + (f", lag {lag}" if frame["lag"].nunique() > 1 else "")
        axes.set_title(shortened(title, font(9), 0.96 * grid.wide, bold=True), fontsize=font(9), pad=4)
        if k % grid.number:
            axes.set_yticklabels([])
    sheet.y += grid.rows(number) * tile
    middle = top + (sheet.y - top) / 2
    sheet.text(MARGIN, middle, "held-out effect", font(9), rotation=90, va="center")
    sheet.text(sheet.width / 2, sheet.y - 0.04, "number of units", font(9), ha="center")
    sheet.y += 1.2 * font(9) / 72 + 0.04
    handles = [Line2D([], [], label=NAMES[m], **styles[m]) for m in methods]
    handles.append(Line2D([], [], color=GREY, lw=0.8, ls=(0, (1, 2)), label="90 % of the highest; marks: first there"))
    sheet.legend(handles)
    return sheet.finished()
