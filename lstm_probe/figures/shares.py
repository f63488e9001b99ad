"""To whom is the score owed, and from which units do the outputs read? The largest shares of each target first."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lstm_probe.core.order import UNIT, several_layers, unit_label
from lstm_probe.figures.sheet import Sheet, columns, fitting, left_out
from lstm_probe.figures.style import (
    GREY,
    INK,
    UNDEFINED,
    USES_MAP,
    font,
    letters,
    shortened,
    styled,
    text_width,
    wrapped,
)

#: Units that a panel names at most; all others are one bar.
MOST = 8
#: The colour of shares.
OWED = USES_MAP(0.55)

# All in inches.
_WIDE, _ROW, _TITLE, _ACROSS, _DOWN = 1.5, 0.2, 0.26, 0.2, 0.4
_COLUMNS, _TEXT, _LEAST = 5, 8, 5.6


def rows_of(own: pd.DataFrame, most: int = MOST, of: str = "share") -> tuple[pd.DataFrame, float, int]:
    """Return a target's largest shares, either way, largest first; the sum of all others; and how many these are."""
    ranked = own.loc[own[of].abs().sort_values(ascending=False, kind="stable").index]
    shown = ranked.head(most if len(ranked) > most + 1 else most + 1)
    rest = ranked.iloc[len(shown) :]
    return shown.sort_values(of, ascending=False, kind="stable"), float(rest[of].sum()), len(rest)


def _draw(axes: Axes, own: pd.DataFrame, of: str, slots: int, layers: bool) -> None:
    shown, rest, others = rows_of(own, of=of)
    names = [f"unit {unit_label(key, layers)}" for key in shown[UNIT].itertuples(index=False, name=None)]
    at = np.arange(len(shown))
    axes.barh(at, shown[of], height=0.68, color=OWED, zorder=2)
    axes.hlines(at, shown["ci_low"], shown["ci_high"], color=INK, lw=1.1, zorder=3)
    if others:
        axes.barh(len(shown), rest, height=0.68, color=UNDEFINED, zorder=2)
        names.append(f"{others} others")
    axes.set_yticks(range(len(names)), names, fontsize=font(_TEXT))
    axes.set_ylim(slots - 0.4, -0.6)
    axes.axvline(0, color=GREY, lw=0.8, zorder=1)
    axes.tick_params(axis="y", length=0, pad=3)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)


@styled
def shares(table: pd.DataFrame) -> Figure:
    """Draw the units with the largest shares of each target's score, and all others together, a panel for each target.

    Bars are shares, lines their 95 % intervals; the bar of all others has none.

    Args:
        table: columns `SHARE_COLUMNS`, without missing shares.
    """
    return _bars(table, "share", "To whom is the score owed?", "share of the refitted score (Shapley value)")


@styled
def patches(table: pd.DataFrame) -> Figure:
    """Draw the units that move each output most, and all others together, a panel for each target.

    Bars are shares of what the whole state moves, lines their 95 % intervals; the bar of all others has none.

    Args:
        table: rows of `patch_units` for one number of steps after and one signal, or all pairs, without missing shares.
    """
    after = int(table["after"].iloc[0])
    later = f"{after} step{'' if after == 1 else 's'} later"
    label = f"share of what the whole state of another sequence moves, {later}"
    return _bars(table, "moved", "From which units do the outputs read?", label)


def _bars(table: pd.DataFrame, of: str, heading: str, label: str) -> Figure:
    """Draw the units with the largest shares of something, by target, and all others together.

    Args:
        table: rows of units and targets, with a share and the ends of its interval.
        of: the column of the share.
        heading: above.
        label: below: what the shares are of.
    """
    panels = list(table.groupby("target", sort=False))
    layers = several_layers([tuple(key) for key in table[UNIT].itertuples(index=False, name=None)])
    labels = [f"unit {unit_label(key, layers)}" for key in table[UNIT].itertuples(index=False, name=None)]
    beside = max(text_width(label, font(_TEXT)) for label in [*labels, "999 others"]) + 0.14
    parts = [rows_of(own, of=of) for _, own in panels]
    slots = max(len(shown) + bool(others) for shown, _, others in parts)
    low = min(-0.04, *(float(shown["ci_low"].min()) for shown, _, _ in parts), *(rest for _, rest, _ in parts))
    high = max(1.04, *(float(shown["ci_high"].max()) for shown, _, _ in parts), *(rest for _, rest, _ in parts))
    grid = columns(len(panels), _COLUMNS, left=beside, wide=_WIDE, gap=_ACROSS, least=_LEAST, narrow=1.0)
    sheet, tall = Sheet(grid.width), letters(_ROW) * slots
    cell = letters(_TITLE) + tall + letters(_DOWN)
    number = fitting(grid, len(panels), cell, 1.3)
    sheet.heading(heading, left_out(len(panels) - number, "target"))
    panels = panels[:number]
    for k, (target, own) in enumerate(panels):
        axes = sheet.axes(grid.x(k), sheet.y + k // grid.number * cell + letters(_TITLE), grid.wide, tall)
        axes.set_xlim(1.02 * low if low < -0.04 else low, 1.02 * high if high > 1.04 else high)
        _draw(axes, own, of, slots, layers)
        axes.set_title(shortened(str(target), font(9), grid.room(k), bold=True), fontsize=font(9), pad=4)
    sheet.y += grid.rows(len(panels)) * cell - letters(0.12)
    sheet.text(sheet.width / 2, sheet.y, wrapped(label, font(9), sheet.room), font(9), ha="center", ma="center")
    sheet.y += (1 + wrapped(label, font(9), sheet.room).count("\n")) * 1.25 * font(9) / 72 + 0.06
    handles = [Patch(color=OWED, label="one unit"), Line2D([], [], color=INK, lw=1.1, label="95 % interval")]
    handles += [Patch(color=UNDEFINED, label="all others together")] if any(others for _, _, others in parts) else []
    sheet.legend(handles)
    return sheet.finished()
