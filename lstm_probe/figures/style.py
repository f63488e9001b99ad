"""How every figure looks: its style, its width, its letters and its colours.

A figure is laid out in inches. What a layout asks while it is made: `font` for the size of letters, `letters` for a
length that holds letters, `available_width` for the width that was asked for, `text_width` and `wrapped` for what a
text takes. All follow from the style and width that the caller of a figure chose; `styled` sets them.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from functools import cache, wraps
from math import inf
from typing import Any

import seaborn as sns
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LoadFlags
from matplotlib.ticker import FuncFormatter, NullFormatter

from lstm_probe.core.looks import STYLES, Look, look_of
from lstm_probe.core.order import UnitKey
from lstm_probe.figures.fonts import FAMILY
from lstm_probe.figures.given import columns_named, tables_given
from lstm_probe.figures.saving import SAVED, any_letters

STYLE: Any = {
    "font.family": FAMILY,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titley": 1.0,  # where it stands is not searched for, which takes longer than anything else in a figure
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
    # A name with dollar signs in it is no formula.
    "text.parse_math": False,
    **SAVED,
}

#: Perceptually uniform, light where there is nothing: one map for what is tracked, one for what is used.
TRACKS_MAP = sns.color_palette("mako_r", as_cmap=True)
USES_MAP = sns.color_palette("rocket_r", as_cmap=True)
UNDEFINED = "#d9d9d9"
INK, GREY = "#222222", "#777777"
LEGEND_LINE = 0.175  # inches that an entry of a legend takes

_COLOURS = sns.color_palette("colorblind", 10).as_hex()
#: Colours of units: dark enough for a thin line, told apart by those who see few colours; a name always goes with them.
_UNIT_COLOURS = ("#d55e00", "#0173b2", "#029e73", "#cc78bc", "#8a5a2b", "#56b4e9", "#5b3a8c", "#c79000")
_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")

#: No letter is smaller than this, in points: journals ask for 5 to 7.
SMALLEST = 6.0
#: Inches that a page of a paper has for a figure.
TALLEST = 9.2
_SIZES = ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")
_ARGUMENTS = """
        style: what the figure is for: "notebook", "paper" (letters of 6 to 8 points) or "talk" (large letters).
        width: of the whole figure: "column" (3.5 inches), "page" (7.2), or inches; None for what its layout takes."""
_RAISES = "InputError: `style` or `width` is none of these; a table without rows, or without a column that is drawn."


_NOTEBOOK = Look()
_LOOK: ContextVar[Look] = ContextVar("look", default=_NOTEBOOK)


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Let a figure be drawn for a notebook, a paper or a talk, at a width, whatever the caller's own settings are."""

    own = inspect.signature(draw)

    @wraps(draw)
    def in_style(*args: Any, style: str = "notebook", width: str | float | None = None, **kwargs: Any) -> Figure:
        tables = tables_given(own, args, kwargs)
        token = _LOOK.set(look_of(style, width))
        try:
            with columns_named(tables), rc_context(STYLE | {name: font(STYLE[name]) for name in _SIZES}), any_letters():
                figure = draw(*args, **kwargs)
                _keep(figure)
        finally:
            _LOOK.reset(token)
        return figure

    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [inspect.Parameter("style", keyword, default="notebook", annotation=str),
             inspect.Parameter("width", keyword, default=None, annotation=str | float | None)]  # fmt: skip
    in_style.__signature__ = own.replace(parameters=[*own.parameters.values(), *added])  # type: ignore[attr-defined]
    in_style.__doc__ = _documented(draw.__doc__ or "")
    return in_style


def _documented(text: str) -> str:
    """Return a docstring with what every figure takes, and what it raises."""
    arguments, *rest = re.split(r"\n\n(?=    (?:Returns|Raises):)", text.rstrip())
    raises = "\n".join(("    Raises:", f"        {_RAISES}"))
    if rest and rest[-1].lstrip().startswith("Raises:"):
        rest[-1] += f"\n        {_RAISES}"
    else:
        rest.append(raises)
    return "\n\n".join((arguments + _ARGUMENTS, *rest)) + "\n    "


def _keep(figure: Figure) -> None:
    """Let a figure look as it does wherever it is drawn later; its width is the one asked for."""
    wide = _LOOK.get().width
    if wide is not None:
        figure.set_size_inches(wide, figure.get_figheight())
    for axes in figure.axes:
        _keep_inside(axes, figure.get_figwidth())
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_major_ticks(1)  # made now, in our style: all that come later are made like the first


def _keep_inside(axes: Axes, width: float) -> None:
    """Move the words below an axis that are wider than it so that they do not leave the figure, which is so wide."""
    label, box = axes.xaxis.label, axes.get_position()
    half = text_width(label.get_text(), float(label.get_fontsize())) / 2 + 0.03
    middle = width * (box.x0 + box.x1) / 2
    moved = max(half, min(middle, width - half)) - middle
    if moved:
        label.set_x(0.5 + moved / (width * box.width))


def font(points: float) -> float:
    """Return the size of letters that have this one in a notebook, in points."""
    return max(SMALLEST, points * STYLES[_LOOK.get().style])


def letters(inches: float) -> float:
    """Return a length that holds letters, which has this one in a notebook, in inches."""
    return inches * STYLES[_LOOK.get().style]


def available_width(natural: float) -> float:
    """Return the width that was asked for, in inches; `natural` where none was."""
    asked = _LOOK.get().width
    return natural if asked is None else asked


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """Return an empty figure of this size in inches, unknown to any pyplot window manager."""
    figure = Figure(figsize=(width, height), **options)
    FigureCanvasAgg(figure)
    return figure


@cache
def _advance(letter: str, bold: bool) -> float:
    """Return how far a letter moves on, as a share of the size of its font."""
    face = get_font(findfont(FontProperties(family=FAMILY, weight="bold" if bold else "normal")))
    face.set_size(100, 72)
    glyph = face.load_glyph(face.get_char_index(ord(letter)), flags=LoadFlags.NO_HINTING)
    return float(glyph.linearHoriAdvance) / 65536 / 100


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return how many inches the longest line of a text takes at a font size in points."""
    longest = max(sum(_advance(letter, bold) for letter in line) for line in text.split("\n"))
    # On a screen letters stand on whole pixels, which takes a little more than their outlines.
    return 1.04 * longest * size / 72


def wrapped(text: str, size: float, width: float, *, bold: bool = False) -> str:
    """Return a text with line breaks between words, so that each line fits into so many inches if its words do."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size, bold=bold) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def plain_powers(axis: Axis) -> None:
    """Write the numbers of a logarithmic axis as they are: exponents are smaller than letters may be."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def unit_colours(units: Iterable[UnitKey], order: Sequence[UnitKey] = ()) -> dict[UnitKey, str]:
    """Return the colour of each unit, the same in each figure of a run.

    Args:
        units: those of the figure.
        order: all units of the run, in its order, whose places give the colours: those that stand first, which are
            shown most, differ. A unit that is not among them has the colour of its number.
    """
    places = {unit: place for place, unit in enumerate(order)}
    return {unit: _UNIT_COLOURS[places.get(unit, unit[2]) % len(_UNIT_COLOURS)] for unit in units}


def shortened(text: str, size: float, width: float, *, bold: bool = False) -> str:
    """Return a text that fits into so many inches: one that is longer loses its middle."""
    if text_width(text, size, bold=bold) <= width:
        return text
    most = next((n for n in range(len(text) - 1, 1, -1)
                 if text_width(_without_middle(text, n), size, bold=bold) <= width), 2)  # fmt: skip
    return _without_middle(text, most)


def first_fitting(forms: Sequence[str], size: float, width: float, *, bold: bool = False) -> str:
    """Return the first form of a text that fits into so many inches; the last one without its middle if none does."""
    fits = (form for form in forms if text_width(form, size, bold=bold) <= width)
    return next(fits, "") or shortened(forms[-1], size, width, bold=bold)


def _without_middle(text: str, most: int) -> str:
    """Return the first and the last of a text's letters, so many in all.

    >>> _without_middle("longest_word", 6)
    'lon…rd'
    """
    return f"{text[: most // 2]}…{text[len(text) - (most - 1) // 2 :]}"


def height_left() -> float:
    """Return how tall a figure may be, in inches: a page of a paper ends."""
    return TALLEST if _LOOK.get().style == "paper" else inf


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
