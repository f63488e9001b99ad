"""One example sequence of a task: inputs, targets and signals, step by step above each other."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_probe.figures.sheet import MARGIN, Sheet, all_shortened, left_out
from lstm_probe.figures.style import GREY, INK, available_width, font, height_left, letters, styled, text_width

EXAMPLE_COLUMNS = ("part", "name", "role", "step", "value")
PARTS = {"inputs": "#0173b2", "targets": "#d55e00", "signals": "#029e73"}
_ROW, _GAP, _BOTTOM, _LABEL_SIZE = 0.3, 0.36, 0.42, 8.5


def _draw(axes: Axes, row: pd.DataFrame, colour: str, name: str, wide: float) -> None:
    steps, values = row["step"].to_numpy(), row["value"].to_numpy(float)
    few = np.isin(values, (-1, 0, 1)).all()
    if few:
        axes.bar(steps, values, width=0.9, color=colour)
    elif (values == values.round()).all():
        axes.step(steps, values, where="mid", color=colour, lw=1.4)
    else:
        axes.plot(steps, values, color=colour, lw=1.4, marker="o", ms=2)
    low, high = min(values.min(), 0), max(values.max(), 1 if few else values.min() + 1e-9, 0)
    room = 0.12 * (high - low)
    axes.set_ylim(low - room, high + room)
    axes.axhline(0, color="#bbbbbb", lw=0.6, zorder=0)
    axes.set_yticks([])
    axes.tick_params(axis="x", length=0, labelbottom=False)
    for side in axes.spines.values():
        side.set_visible(False)
    for text, x, align in ((name, -0.07 / wide, "right"), (_behind(row, low, high), 1 + 0.06 / wide, "left")):
        axes.text(x, 0.5, text, transform=axes.transAxes, ha=align, va="center", size=font(_LABEL_SIZE),
                  color=INK if align == "right" else GREY)  # fmt: skip


def _behind(row: pd.DataFrame, low: float, high: float) -> str:
    """Return what stands behind a row: the range that is drawn, and a signal's role."""
    role = row["role"].iloc[0] if row["part"].iloc[0] == "signals" else ""
    return f"{low:.3g} to {high:.3g}{', ' * bool(role)}{role}"


@styled
def task_example(table: pd.DataFrame) -> Figure:
    """Draw one sequence, each input, target and signal in a row of its own, all over the same steps.

    Args:
        table: columns `EXAMPLE_COLUMNS`; `part` is one of `PARTS`.
    """
    parts = {part: list(table.loc[table["part"] == part, "name"].unique()) for part in PARTS}
    size, row, gap = font(_LABEL_SIZE), letters(_ROW), letters(_GAP)
    right = text_width("-0.25 to 12.75, distractor", size) + 0.15
    steps = table["step"].nunique()
    every = table["name"].unique().tolist()
    natural = max(text_width(str(name), size) for name in every) + 0.25 + 0.24 * steps + right
    width = available_width(natural)
    short, left = all_shortened(every, size, 0.3 * width if width < natural else 99.0)
    names, left = dict(zip(every, short)), MARGIN + left + 0.1
    room = int((height_left() - 0.8 - len(parts) * gap) / row) if height_left() < 99 else len(every) * len(parts)
    sheet, wide, missing = Sheet(width), width - left - right, 0
    for k, (part, own) in enumerate(parts.items()):
        # Each part has its share of the rows that there is room for.
        most = max(1, room // (len(parts) - k))
        room, missing = room - min(len(own), most), missing + max(0, len(own) - most)
        sheet.text(MARGIN, sheet.y + 0.05, part, font(10), weight="bold", color=PARTS[part])
        sheet.y += gap
        for name in own[:most]:
            axes = sheet.axes(left, sheet.y + 0.03, wide, row - 0.06)
            _draw(axes, table[(table["part"] == part) & (table["name"] == name)], PARTS[part], names[name], wide)
            axes.set_xlim(-0.6, table["step"].max() + 0.6)
            sheet.y += row
    axes.tick_params(axis="x", length=3, labelbottom=True)
    axes.xaxis.set_major_locator(MaxNLocator(max(2, min(12, int(wide / letters(0.35)))), integer=True))
    axes.set_xlabel("step", labelpad=1)
    sheet.y += letters(_BOTTOM)
    if missing:
        sheet.words(left_out(missing, "row"), 8, color=GREY)
    return sheet.finished()
