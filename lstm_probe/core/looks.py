"""What figures are drawn for: their styles, their widths and their files' formats, by name.

Nothing here imports anything heavy, so that help and error messages can use it.
"""

from dataclasses import dataclass
from math import isfinite

from lstm_probe.core.errors import InputError, nearest

#: What a figure is drawn for, and how large its letters then are beside those in a notebook.
STYLES = {"notebook": 1.0, "paper": 0.8, "talk": 1.4}
#: Widths in inches that have a name: a column of a journal, and its page.
WIDTHS = {"column": 3.5, "page": 7.2}
NARROWEST, WIDEST = 3.0, 40.0
#: A talk's large letters take more room.
NARROWEST_TALK = 5.0
FORMATS = ("pdf", "svg", "png")
#: Dots per inch of a PNG: of a page, and of a paper.
PNG_DPI, PAPER_DPI = 144, 300


@dataclass(frozen=True)
class Look:
    """What a figure is drawn for, and its width in inches; None for what its layout takes."""

    style: str = "notebook"
    width: float | None = None


def look_of(style: str, width: str | float | None) -> Look:
    """Return what was asked for.

    Raises:
        InputError: there is no such style or width.

    >>> look_of("paper", "column")
    Look(style='paper', width=3.5)
    """
    if style not in STYLES:
        raise InputError(f"style={style}: must be one of {', '.join(STYLES)}.{nearest(str(style), list(STYLES))}")
    inches = WIDTHS.get(width, width) if isinstance(width, str) else width
    if inches is None:
        return Look(style)
    words = f"must be one of {', '.join(WIDTHS)}, or inches from {NARROWEST:g} to {WIDEST:g}."
    try:
        inches = float(inches)
    except (TypeError, ValueError):
        raise InputError(f"width={width}: {words}{nearest(str(width), list(WIDTHS))}") from None
    if not (isfinite(inches) and NARROWEST <= inches <= WIDEST):
        raise InputError(f"width={width}: {words}")
    if style == "talk" and inches < NARROWEST_TALK:
        raise InputError(f"width={width}: the letters of style=talk need {NARROWEST_TALK:g} inches or more.")
    return Look(style, inches)
