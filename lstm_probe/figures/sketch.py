"""What diagrams are drawn with: boxes, arrows and labels on axes that are measured in inches."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path
from matplotlib.text import Text

from lstm_probe.figures.style import INK

Point = tuple[float, float]

#: One colour for each gate; they stay apart for colour-blind readers (after Okabe and Ito).
GATES = {"i": "#0072b2", "f": "#c04f00", "g": "#00805e", "o": "#8f4a8b"}
INPUT, OUTPUT, MEMORY, CHOSEN, PALE = "#9cc3e0", "#f3e3c3", "#fff6cf", "#f0a202", "#efefef"
MOST_CELLS = 8


def panel(figure: Figure, place: tuple[float, float, float, float], title: str) -> Axes:
    """Return empty axes at (left, bottom, width, height), in inches, whose units are inches too."""
    left, bottom, width, height = place
    wide, tall = figure.get_size_inches()
    axes = figure.add_axes((left / wide, bottom / tall, width / wide, height / tall))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    label(axes, 0, height - 0.12, title, size=12, weight="bold", ha="left")
    return axes


def label(axes: Axes, x: float, y: float, text: str, size: float = 9, **options: Any) -> Text:
    """Write a text, centred unless `ha` and `va` say otherwise."""
    return axes.text(x, y, text, size=size, **{"ha": "center", "va": "center", "color": INK, **options})


def line(axes: Axes, points: Sequence[Point], width: float = 1.2) -> None:
    """Draw a line through points."""
    axes.plot(*zip(*points), color=INK, lw=width, solid_capstyle="round", zorder=1)


def arrow(axes: Axes, start: Point | Sequence[Point], end: Point, width: float = 1.2, dashed: bool = False) -> None:
    """Draw an arrow to `end` from a point, or through several."""
    points = [start] if isinstance(start[0], int | float) else list(start)
    style = (0, (3, 2)) if dashed else "-"
    path = Path([*points, end])
    axes.add_patch(FancyArrowPatch(
        path=path, arrowstyle="-|>,head_length=4,head_width=2.2", lw=width, color=INK, linestyle=style,
        joinstyle="miter", zorder=2.5,
    ))  # fmt: skip


def box(
    axes: Axes, corner: Point, width: float, height: float, face: str, edge: str = INK,
    rounded: bool = False, lw: float = 0.9, alpha: float = 1.0,
) -> None:  # fmt: skip
    """Draw a box from its lower left corner; `lw` is the line's width in points."""
    style: dict[str, Any] = {"facecolor": face, "edgecolor": edge, "lw": lw, "alpha": alpha, "zorder": 2}
    if rounded:
        corners = "round,pad=0,rounding_size=0.06"
        axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=corners, **style))
    else:
        axes.add_patch(Rectangle(corner, width, height, **style))


def circle(axes: Axes, centre: Point, radius: float, face: str, text: str) -> None:
    """Draw a circle with a sign in it."""
    axes.add_patch(Circle(centre, radius, facecolor=face, edgecolor=INK, lw=0.9, zorder=3))
    label(axes, *centre, text, size=9, zorder=4)


def strip(axes: Axes, centre: float, y: float, n: int, colour: str, cell: float = 0.22) -> float:
    """Draw a vector as a row of cells, its middle left out where there are many; return its right end."""
    slots = list(range(n)) if n <= MOST_CELLS else [0, 1, 2, 3, None, n - 1]
    left = centre - cell * len(slots) / 2
    for k, slot in enumerate(slots):
        if slot is None:
            label(axes, left + cell * (k + 0.5), y + 0.12, "…", size=12)
        else:
            box(axes, (left + cell * k, y), cell, 0.26, colour, lw=0.8)
    return left + cell * len(slots)
