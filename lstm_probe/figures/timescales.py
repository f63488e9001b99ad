"""How long memories last: by the forget gate alone, against how long a memory goes on resembling itself."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from lstm_probe.core.order import UNIT, several_layers, unit_label
from lstm_probe.figures.sheet import MARGIN, Sheet, legend_width
from lstm_probe.figures.style import GREY, available_width, font, letters, line_styles, styled, text_width

#: A unit goes with a signal that tells this much of its memory (R²).
LEAST_R2 = 0.25
#: Times below this are drawn at it.
SHORTEST = 0.3
#: As many units can be named.
MOST_NAMED = 40

_NOTE = "one dot for each unit; grey line: the longest lag"
# In inches: the axes, and what stands around them.
_WIDE, _TALL, _LEFT, _BELOW, _MARKS = 3.2, 2.8, 0.5, 0.48, 0.25


@styled
def timescales(table: pd.DataFrame) -> Figure:
    """Draw one dot for each unit, in the colour of the signal that goes best with its memory.

    A memory that goes on beyond the longest lag stands at the upper edge.

    Args:
        table: columns of `lstm_probe.columns("timescales")`.
    """
    goes = (table["r2"] >= LEAST_R2).to_numpy(bool)
    styles = line_styles(sorted(table.loc[goes, "signal"].unique()))
    beside, left = legend_width([*styles, "goes with none"]) + _MARKS, letters(_LEFT)
    natural = MARGIN + left + _WIDE + beside
    width = available_width(natural)
    wide = width - MARGIN - left - (beside if width >= 0.9 * natural else _MARKS)
    sheet, tall = Sheet(width), min(letters(_TALL), wide)
    sheet.heading("How long memories last", _NOTE + "; hollow: the signals themselves" * bool(styles))
    axes = sheet.axes(MARGIN + left, sheet.y, wide, tall)
    sheet.y += tall + letters(_BELOW)
    longest = float(table["longest"].max())
    top = 1.35 * longest
    x = table["tau_forget"].clip(SHORTEST, None)
    right = 1.2 * max(top, float(x[np.isfinite(x)].max()) if np.isfinite(x).any() else top)
    x, y = x.clip(upper=right / 1.1), table["tau_memory"].replace(np.inf, top).clip(SHORTEST, top)
    axes.plot([SHORTEST, right], [SHORTEST, right], color=GREY, lw=0.8, ls=(0, (4, 1.5)))
    axes.axhline(longest, color=GREY, lw=0.6, ls=(0, (1.2, 1.2)))
    if not goes.all():
        axes.plot(x[~goes], y[~goes], "o", color="#bbbbbb", ms=4, label="goes with none")
    for name, style in styles.items():
        own = goes & (table["signal"] == name).to_numpy(bool)
        look = {"color": style["color"], "marker": style["marker"]}
        axes.plot(x[own], y[own], ls="", ms=5, label=name, **look)
        tau = float(table.loc[own, "tau_signal"].iloc[0])
        axes.plot([1.02], [min(tau, top)], transform=axes.get_yaxis_transform(), clip_on=False, ms=5, ls="", mfc="none",
                  **look)  # fmt: skip
    if len(table) <= MOST_NAMED:
        layers = several_layers(list(table[UNIT].itertuples(index=False, name=None)))
        for key, at, up in zip(table[UNIT].itertuples(index=False, name=None), x, y):
            axes.annotate(
                unit_label(key, layers), (at, up), (3, 2), textcoords="offset points", size=font(6.5), color=GREY
            )
    axes.set(xscale="log", yscale="log", xlim=(0.9 * SHORTEST, right), ylim=(0.9 * SHORTEST, 1.25 * top))
    for axis, edge in ((axes.xaxis, right), (axes.yaxis, top)):
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
        every = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 100_000)
        # On a short axis the powers of ten alone have room.
        inches = wide / np.log10(edge / SHORTEST) * np.log10(2)
        crowded = axis is axes.xaxis and inches < text_width("200", font(8)) + 0.06
        ticks = [tick for tick in every if tick <= edge and (not crowded or np.log10(tick) % 1 == 0)]
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel(f"{table.attrs.get('keeps', 'forget gate')} alone, steps")
    axes.set_ylabel("memory resembles itself, steps")
    sheet.legend_of(axes, width - MARGIN - left - wide)
    legend = axes.get_legend()
    if legend is not None:
        legend.set_bbox_to_anchor((1 + _MARKS / wide, 1.02))
    return sheet.finished()
