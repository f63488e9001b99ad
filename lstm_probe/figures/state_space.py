"""Where do states move, and where do they stand still? Paths and fixed points in two principal components."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lstm_probe.figures.sheet import Sheet, all_shortened, columns, fitting, left_out
from lstm_probe.figures.style import INK, TRACKS_MAP, USES_MAP, available_width, font, letters, styled

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
_SIDE, _LEFT, _RIGHT, _TITLE, _BOTTOM, _GAP, _LINE = 3.6, 0.64, 0.12, 0.24, 0.5, 0.2, 0.165


def _draw(axes: Axes, paths: pd.DataFrame, points: pd.DataFrame, named: bool) -> None:
    for _, path in paths.groupby("number"):
        axes.plot(path["x"], path["y"], color=_PATH, lw=0.6, alpha=0.55, zorder=1)
    for kind, how in _POINTS.items():
        own = points[points["kind"] == kind]
        axes.scatter(own["x"], own["y"], zorder={"saddle": 3}.get(kind, 4), **how)
        for _, point in own.iterrows() if named and kind != "saddle" else ():
            axes.annotate(
                str(point["number"]), (point["x"], point["y"]), xytext=(5, 4), textcoords="offset points",
                fontsize=font(8), weight="bold", color=INK, zorder=5,
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
    _, beside = all_shortened([line for lines in names for line in lines], font(8), available_width(99.0))
    left, line = letters(_LEFT), letters(_LINE)
    natural = 0.16 + len(panels) * (left + _SIDE + beside + 0.12 + _GAP) - _GAP
    below = available_width(natural) < 0.95 * natural  # there the names stand under the panel
    right = _RIGHT if below else beside + 0.12
    grid = columns(len(panels), MOST_PANELS, left=left, wide=_SIDE, right=right, gap=_GAP, least=6.0, narrow=2.4)
    most = max(len(lines) for lines in names)
    inside = 0.86 * min(_SIDE, grid.wide)
    tall = inside if below else max(inside, line * most)
    title = letters(_TITLE) * (len(panels) > 1)
    cell = title + tall + letters(_BOTTOM) + (line * most + 0.1) * below
    number = fitting(grid, len(panels), cell, 0.9)
    sheet = Sheet(grid.width)
    sheet.heading("Where does the state come to rest?", left_out(len(panels) - number, "input"))
    x_share, y_share = (100 * float(table[name].iloc[0]) if len(table) else 0.0 for name in ("x_share", "y_share"))
    for k, (own, lines, one) in enumerate(list(zip(panels, names, inputs))[:number]):
        top = sheet.y + k // grid.number * cell + title
        axes = sheet.axes(grid.x(k), top, grid.wide, tall)
        _draw(axes, paths, own, bool(lines) or len(own) <= MOST_NAMED)
        axes.set_xlabel(f"first principal component ({x_share:.0f} % of variance)")
        axes.set_ylabel(f"second ({y_share:.0f} %)")
        if len(panels) > 1:
            axes.set_title(f"input {one}", fontsize=font(9), pad=4)
        room = grid.step - _GAP if below else beside
        x, y = (
            (grid.x(k) - left, top + tall + letters(_BOTTOM)) if below else (grid.x(k) + grid.wide + 0.12, top + 0.05)
        )
        for n, words in enumerate(all_shortened(lines, font(8), room)[0]):
            sheet.text(x, y + line * n, words, font(8), color=INK)
    sheet.y += grid.rows(number) * cell + 0.05
    kinds = set(points["kind"])
    handles = [
        Line2D([], [], linestyle="none", marker=how["marker"], markersize=6.5, label=kind,
               markerfacecolor=how.get("facecolor", INK), markeredgecolor=how.get("edgecolor", INK))
        for kind, how in _POINTS.items() if kind in kinds
    ]  # fmt: skip
    handles += [Line2D([], [], color=_PATH, lw=1.0, label="paths of sequences")] if len(paths) else []
    sheet.legend(handles, handlelength=1.4)
    return sheet.finished()
