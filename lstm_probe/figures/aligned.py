"""Event-aligned averages: what units do around an event, a line for each condition."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lstm_probe.core.order import UNIT, several_layers, unit_label
from lstm_probe.figures.sheet import Sheet, columns, fitting, left_out
from lstm_probe.figures.style import GREY, INK, font, letters, line_styles, shortened, styled

#: As many conditions can be told apart.
MOST_CONDITIONS = 10
_PANEL = [*UNIT, "variable"]
# In inches: a panel, and what stands around it.
_WIDE, _TALL, _LEFT, _BELOW, _ABOVE = 2.4, 1.5, 0.62, 0.45, 0.12


def _draw(axes: Axes, own: pd.DataFrame, conditions: list[str]) -> None:
    axes.axvline(0, color=GREY, lw=0.8, ls=(0, (1, 2)), zorder=0)
    for condition, style in line_styles(conditions).items():
        curve = own[own["condition"] == condition].sort_values("offset")
        axes.fill_between(curve["offset"], curve["ci_low"], curve["ci_high"], color=style["color"], alpha=0.2, lw=0)
        axes.plot(curve["offset"], curve["mean"], lw=1.4, markersize=2.5, **style)
    axes.set_xlim(own["offset"].min(), own["offset"].max() + (own["offset"].min() == own["offset"].max()))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.grid(True)
    axes.set_axisbelow(True)


@styled
def aligned(table: pd.DataFrame) -> Figure:
    """Draw the average of each unit around an event with its interval, a panel for each unit and variable.

    Args:
        table: of `aligned_averages`, of the units that are to be seen: a dozen at most. Of many conditions, those with
            most events are drawn.
    """
    most = table.groupby("condition", sort=False)["n_events"].max().nlargest(MOST_CONDITIONS).index
    conditions = [one for one in dict.fromkeys(table["condition"]) if one in most]
    panels: list[tuple[Any, pd.DataFrame]] = list(table.groupby(_PANEL, sort=False))
    layers = several_layers([(layer, direction, unit) for (layer, direction, unit, _), _ in panels])
    event = str(table["event"].iloc[0])
    styles = line_styles(conditions) if len(conditions) > 1 else {}
    by = str(table["by"].iloc[0])
    handles = [Line2D([], [], lw=1.4, markersize=2.5, label=f"{by} {name}", **style) for name, style in styles.items()]
    grid = columns(len(panels), 3, left=letters(_LEFT), wide=_WIDE, gap=0.1, right=0.05, least=3.5)
    sheet, tall, cell = Sheet(grid.width), letters(_TALL), letters(_TALL + _BELOW + _ABOVE)
    number = fitting(grid, len(panels), cell, 1.0)
    for k, ((layer, direction, unit, variable), own) in enumerate(panels[:number]):
        axes = sheet.axes(grid.x(k), sheet.y + k // grid.number * cell + letters(_ABOVE), grid.wide, tall)
        _draw(axes, own, conditions)
        axes.set_xlabel(shortened(f"steps since {event}", font(9), grid.wide + letters(_LEFT)), labelpad=2)
        axes.set_ylabel(f"{variable} of unit {unit_label((layer, direction, unit), layers)}", labelpad=2)
    sheet.y += grid.rows(number) * cell
    sheet.legend(handles, labelcolor=INK)
    if number < len(panels):
        sheet.words(left_out(len(panels) - number, "panel"), 8, color=GREY)
    return sheet.finished()
