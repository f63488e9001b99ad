"""Where do states move, and where do they stand still? Paths and fixed points in two principal components."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lstm_probe.figures.style import INK, TRACKS_MAP, USES_MAP, new_figure, styled, text_width

#: Points that are named at most, panels, and letters of a name.
MOST_NAMED, MOST_PANELS, LONGEST = 24, 4, 60
_WINE = USES_MAP(0.55)
#: How a point of each kind is drawn.
_POINTS: dict[str, dict[str, Any]] = {
    "attractor": {"marker": "o", "s": 46, "facecolor": _WINE, "edgecolor": "white", "linewidth": 0.8},
    "neutral": {"marker": "D", "s": 34, "facecolor": "white", "edgecolor": _WINE, "linewidth": 1.4},
    "saddle": {"marker": "x", "s": 26, "color": INK, "linewidth": 1.2},
}
_PATH = TRACKS_MAP(0.45)

# All in inches.
_SIDE, _LEFT, _RIGHT, _TOP, _TITLE, _BOTTOM, _GAP, _LINE = 3.6, 0.72, 0.2, 0.4, 0.24, 0.82, 0.3, 0.165


def _draw(axes: Axes, paths: pd.DataFrame, points: pd.DataFrame, named: bool) -> None:
    for _, path in paths.groupby("number"):
        axes.plot(path["x"], path["y"], color=_PATH, lw=0.6, alpha=0.55, zorder=1)
    for kind, how in _POINTS.items():
        own = points[points["kind"] == kind]
        axes.scatter(own["x"], own["y"], zorder={"saddle": 3}.get(kind, 4), **how)
        for _, point in own.iterrows() if named and kind != "saddle" else ():
            axes.annotate(
                str(point["number"]), (point["x"], point["y"]), xytext=(5, 4), textcoords="offset points",
                fontsize=8, weight="bold", color=INK, zorder=5,
            )  # fmt: skip
    axes.margins(0.09)
    axes.grid(True)
    axes.set_axisbelow(True)


def _names(points: pd.DataFrame) -> list[str]:
    """Return what each point at which states may end stands for."""
    own = points[points["kind"] != "saddle"]
    lines = [f"{number}  {words}" for number, words in zip(own["number"], own["signals"]) if words]
    lines = [line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…" for line in lines]
    return lines[:MOST_NAMED] + ([f"and {len(lines) - MOST_NAMED} more"] if len(lines) > MOST_NAMED else [])


@styled
def state_space(table: pd.DataFrame) -> Figure:
    """Draw paths of states and the fixed points, a panel for each constant input; attractors are numbered and named.

    Args:
        table: columns `COLUMNS` of `dynamics.state_space`.
    """
    paths, points = table[table["kind"] == "path"], table[table["kind"] != "path"]
    inputs = sorted(points["input"].unique())[:MOST_PANELS] or [0]
    panels = [points[points["input"] == one] for one in inputs]
    names = [_names(own) for own in panels]
    beside = [max((text_width(line, 8) for line in lines), default=0.0) + 0.12 for lines in names]
    widths = [_LEFT + _SIDE + own + _GAP for own in beside]
    tall = max(_SIDE * 0.86, *(_LINE * len(lines) for lines in names))
    width, height = max(sum(widths) - _GAP + _RIGHT, 6.0), _TOP + _TITLE * (len(panels) > 1) + tall + _BOTTOM
    figure = new_figure(width, height)
    x_share, y_share = (100 * float(table[name].iloc[0]) if len(table) else 0.0 for name in ("x_share", "y_share"))
    left = 0.0
    for own, lines, one, wide in zip(panels, names, inputs, widths):
        axes = figure.add_axes(((left + _LEFT) / width, _BOTTOM / height, _SIDE / width, tall / height))
        _draw(axes, paths, own, bool(lines) or len(own) <= MOST_NAMED)
        axes.set_xlabel(f"first principal component ({x_share:.0f} % of variance)")
        axes.set_ylabel(f"second ({y_share:.0f} %)")
        if len(panels) > 1:
            axes.set_title(f"input {one}", fontsize=9, pad=4)
        for k, line in enumerate(lines):
            y = (_BOTTOM + tall - 0.05 - _LINE * k) / height
            figure.text((left + _LEFT + _SIDE + 0.12) / width, y, line, fontsize=8, va="top", color=INK)
        left += wide
    figure.text(0.08 / width, 1 - 0.1 / height, "Where does the state come to rest?", weight="bold", size=10, va="top")
    kinds = set(points["kind"])
    handles = [
        Line2D([], [], linestyle="none", marker=how["marker"], markersize=6.5, label=kind,
               markerfacecolor=how.get("facecolor", INK), markeredgecolor=how.get("edgecolor", INK))
        for kind, how in _POINTS.items() if kind in kinds
    ]  # fmt: skip
    handles += [Line2D([], [], color=_PATH, lw=1.0, label="paths of sequences")] if len(paths) else []
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.08 / width, 0.06 / height),
                  ncols=max(1, len(handles)), borderaxespad=0, columnspacing=1.4, handlelength=1.4)  # fmt: skip
    return figure
