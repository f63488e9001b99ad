"""What does a signal do? What is left of each target's score when its linear trace is taken out at every step."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lstm_probe.figures.style import GREY, INK, UNDEFINED, USES_MAP, new_figure, styled, text_width

#: The colour of a signal on its own target.
OWN = USES_MAP(0.55)

# All in inches.
_WIDE, _ROW, _TITLE, _ACROSS, _DOWN, _RIGHT, _TOP, _BOTTOM = 1.35, 0.24, 0.26, 0.24, 0.42, 0.2, 0.34, 0.74
_COLUMNS, _TEXT, _LEAST = 5, 8, 5.6


def _draw(axes: Axes, own: pd.DataFrame, target: str) -> None:
    rows: Any = own.itertuples()
    for k, row in enumerate(rows):
        if np.isfinite(row.control_low):
            axes.barh(
                k, row.control_high - row.control_low, left=row.control_low, height=0.6, color=UNDEFINED, zorder=1
            )
            axes.plot([row.control_mean] * 2, [k - 0.3, k + 0.3], color=GREY, lw=1, zorder=2)
        colour = OWN if row.signal == target else INK
        axes.hlines(k, row.ci_low, row.ci_high, color=colour, lw=1.3, zorder=3)
        axes.plot(row.left, k, "o", ms=5, color=colour, mfc=colour if row.gone else "white", zorder=4)
    axes.set(xlim=(-0.05, max(1.06, 1.02 * float(own["left"].max()))), ylim=(len(own) - 0.4, -0.6))
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0, pad=3)
    axes.spines["left"].set_visible(False)
    size = min(9.0, 9.0 * (_WIDE + _ACROSS) / (1.1 * text_width(target, 9)))
    axes.set_title(target, fontsize=size, pad=4)


def _dot(colour: Any, label: str, face: Any = None) -> Line2D:
    return Line2D([], [], color=colour, marker="o", ms=5, lw=1.3, mfc=colour if face is None else face, label=label)


@styled
def erasure(table: pd.DataFrame) -> Figure:
    """Draw the share of each target's score that is left without each signal, a panel for each target.

    Lines are 95 % intervals, bands reach from the 5 % to the 95 % quantile of what random directions leave, with their
    mean. Hollow is a signal that was not taken out.

    Args:
        table: columns `COLUMNS` of `causal.erasure`, without missing shares.
    """
    signals, panels = list(table["signal"].unique()), list(table.groupby("target", sort=False))
    beside = max(text_width(str(name), _TEXT) for name in signals) + 0.14
    columns = min(_COLUMNS, len(panels))
    rows, tall = -(-len(panels) // columns), _ROW * len(signals)
    width = max(beside + columns * (_WIDE + _ACROSS) + _RIGHT, _LEAST)
    height = _TOP + rows * (_TITLE + tall) + (rows - 1) * _DOWN + _BOTTOM
    figure = new_figure(width, height)
    for k, (target, own) in enumerate(panels):
        x = 0.08 + beside + k % columns * (_WIDE + _ACROSS)
        y = _TOP + k // columns * (_TITLE + tall + _DOWN) + _TITLE + tall
        axes = figure.add_axes((x / width, 1 - y / height, _WIDE / width, tall / height))
        _draw(axes, own.set_index("signal", drop=False).reindex(signals), str(target))
        axes.set_yticks(
            range(len(signals)), [str(name) for name in signals] if k % columns == 0 else [""] * len(signals)
        )
    figure.text(0.08 / width, 1 - 0.1 / height, "What does a signal do?", weight="bold", size=10, va="top")
    figure.text(0.5, 0.36 / height, "share of the score left without the signal", ha="center", va="bottom", size=9)
    handles: list[Artist] = [_dot(OWN, "its own target"), _dot(INK, "another")]
    if not table["gone"].all():
        handles.append(_dot(INK, "not taken out", "white"))
    if table["control_low"].notna().any():
        handles.append(Patch(color=UNDEFINED, label=f"{int(table['controls'].max())} random directions"))
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.08 / width, 0.06 / height), ncols=len(handles),
        borderaxespad=0, columnspacing=1.4, handlelength=1.6,
    )  # fmt: skip
    return figure
