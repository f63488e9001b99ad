"""How every figure looks, and how it becomes files that are the same bytes each time."""

from collections.abc import Callable, Sequence
from functools import cache, wraps
from io import BytesIO
from pathlib import Path
from typing import Any

import seaborn as sns
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from lstm_probe.core.files import write_whole

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "figure.facecolor": "white",
    # Outlines instead of letters: an SVG then looks the same where this font is not installed.
    "svg.fonttype": "path",
    # Names inside an SVG follow from its content and this word alone, not from chance.
    "svg.hashsalt": "lstm_probe",
}

#: Perceptually uniform, light where there is nothing: one map for what is tracked, one for what is used.
TRACKS_MAP = sns.color_palette("mako_r", as_cmap=True)
USES_MAP = sns.color_palette("rocket_r", as_cmap=True)
UNDEFINED = "#d9d9d9"
INK, GREY = "#222222", "#777777"
PNG_DPI = 144
LEGEND_LINE = 0.175  # inches that an entry of a legend takes

_COLOURS = sns.color_palette("colorblind", 10).as_hex()
_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw a figure in the common style, whatever the caller's own settings are."""

    @wraps(draw)
    def in_style(*args: Any, **kwargs: Any) -> Figure:
        with rc_context(STYLE):
            return draw(*args, **kwargs)

    return in_style


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """Return an empty figure of this size in inches, unknown to any pyplot window manager."""
    figure = Figure(figsize=(width, height), **options)
    FigureCanvasAgg(figure)
    return figure


@cache
def text_width(text: str, size: float) -> float:
    """Return how many inches the longest line of a text takes at a font size in points."""
    font = FontProperties(family=STYLE["font.family"], size=size)
    lines = [line for line in text.split("\n") if line.strip()]
    outline = max((TextPath((0, 0), line, prop=font).get_extents().width / 72 for line in lines), default=0.0)
    # On a screen letters stand on whole pixels, which takes a little more than their outlines.
    return 1.05 * float(outline)


def line_styles(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return colour, dashes and marker for each name; told apart without colour too, and beyond ten names."""
    return {
        name: {
            "color": _COLOURS[k % len(_COLOURS)],
            "linestyle": _DASHES[k // len(_COLOURS) % len(_DASHES)],
            "marker": _MARKERS[k % len(_MARKERS)],
        }
        for k, name in enumerate(names)
    }


def legend_beside(axes: Axes) -> None:
    """Put the legend to the right of the axes, where there are no data."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0, handlelength=2.6)


def save(figure: Figure, path: str | Path, *, dpi: int = PNG_DPI) -> tuple[Path, Path]:
    """Write a figure as SVG and PNG; the same figure gives the same bytes.

    Args:
        figure: what to write.
        path: where to, without a suffix; missing folders are made.
        dpi: dots per inch of the PNG.

    Returns:
        The paths of the SVG and of the PNG.
    """
    svg, png = Path(f"{path}.svg"), Path(f"{path}.png")
    svg.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(STYLE):
        options: dict[Path, Any] = {
            svg: {"metadata": {"Date": None, "Creator": "lstm_probe"}},
            png: {"metadata": {"Software": "lstm_probe"}, "dpi": dpi},
        }
        for file, own in options.items():
            drawn = BytesIO()
            figure.savefig(drawn, format=file.suffix[1:], **own)
            write_whole(file, drawn.getbuffer())
    return svg, png
