"""The glyphs that an SVG's text needs, put into the file, so that it looks the same where the font is not installed."""

import base64
import html
import re
from functools import cache
from io import BytesIO
from typing import Any

from matplotlib.font_manager import FontProperties, findfont

FAMILY = "DejaVu Sans"
_TEXT = re.compile(r"<text\b([^>]*)>(.*?)</text>", re.DOTALL)
_BOLD = re.compile(r"font(?:-weight)?: (?:700|bold)\b")
_STYLE = '<style type="text/css">'
#: Letters that almost all figures are made of: they are taken out of the whole font once.
_COMMON = frozenset(map(chr, range(32, 127))) | frozenset("–—−·²³±×→…≥≤≈µ°ρστ")


def with_fonts(svg: bytes) -> bytes:
    """Return an SVG whose text brings its font along: the glyphs that it needs, as a web font in its style sheet."""
    text = svg.decode()
    needed: dict[bool, set[str]] = {}
    for attributes, content in _TEXT.findall(text):
        needed.setdefault(bool(_BOLD.search(attributes)), set()).update(
            html.unescape(re.sub(r"<[^>]*>|\s", " ", content))
        )
    faces = "".join(_face(bold, frozenset(needed[bold])) for bold in sorted(needed))
    return text.replace(_STYLE, _STYLE + faces, 1).encode()


@cache
def _face(bold: bool, letters: frozenset[str]) -> str:
    """Return the rule of a style sheet that has these glyphs of a font in it."""
    file = findfont(FontProperties(family=FAMILY, weight="bold" if bold else "normal"))
    font = _subset(BytesIO(_common(file)) if letters <= _COMMON else file, letters, "woff")
    weight = "bold" if bold else "normal"
    return (f"@font-face{{font-family:'{FAMILY}';font-weight:{weight};"
            f"src:url(data:font/woff;base64,{base64.b64encode(font).decode()})}}\n")  # fmt: skip


@cache
def _common(file: str) -> bytes:
    return _subset(file, _COMMON)


def _subset(font: Any, letters: frozenset[str], flavor: str | None = None) -> bytes:
    """Return a font with these letters alone, those that it has; the same bytes each time."""
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    options = Options(hinting=False, layout_features=[], notdef_outline=True, glyph_names=False, recalc_timestamp=False)
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "kern", "FFTM"]
    options.name_IDs = [1, 2]  # browsers take no font without a name
    made, subsetter = BytesIO(), Subsetter(options)
    with TTFont(font, lazy=True, recalcTimestamp=False) as whole:
        subsetter.populate(unicodes=sorted(map(ord, letters)))
        subsetter.subset(whole)
        whole.flavor = flavor
        whole.save(made, reorderTables=None)
    return made.getvalue()
