"""How figures become files that are the same bytes each time."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.files import write_whole
from lstm_probe.core.looks import FORMATS, PNG_DPI
from lstm_probe.figures.fonts import with_fonts

#: How figures are written; a layout does not depend on it.
SAVED: Any = {
    # Letters stay letters that can be searched and edited; their font goes with them.
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    # Names inside an SVG follow from its content and this word alone, not from chance.
    "svg.hashsalt": "lstm_probe",
    "savefig.bbox": "standard",
    "savefig.facecolor": "auto",
    "savefig.edgecolor": "auto",
    "savefig.transparent": False,
}
#: What is written into a file about itself: no dates.
_ABOUT: dict[str, dict[str, Any]] = {
    "pdf": {"metadata": {"CreationDate": None, "Creator": "lstm_probe", "Producer": None}},
    "svg": {"metadata": {"Date": None, "Creator": "lstm_probe"}},
    "png": {"metadata": {"Software": "lstm_probe"}},
}


@contextmanager
def any_letters() -> Iterator[None]:
    """Draw names of any letters: one that the font has not is a box in pixels; in SVG it stays that letter."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield


def save(
    figure: Figure, path: str | Path, *, formats: Sequence[str] = ("svg", "png"), dpi: int = PNG_DPI
) -> tuple[Path, ...]:
    """Write a figure as SVG, PNG or PDF; the same figure gives the same bytes.

    Letters stay text in SVG and PDF, with the glyphs that they need in the file.

    Args:
        figure: what to write.
        path: where to, without a suffix; missing folders are made.
        formats: which of "svg", "png" and "pdf".
        dpi: dots per inch of the PNG, and of pictures within the others; papers want 300.

    Returns:
        The path of each format's file.

    Raises:
        InputError: there is no such format.
    """
    formats = (formats,) if isinstance(formats, str) else tuple(formats)
    for format in formats:
        if format not in FORMATS:
            raise InputError(f"formats={format}: must be among {', '.join(FORMATS)}.{nearest(str(format), FORMATS)}")
    paths = tuple(Path(f"{path}.{format}") for format in formats)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with rc_context(SAVED), any_letters():
        for file, format in zip(paths, formats):
            drawn = BytesIO()
            figure.savefig(drawn, format=format, dpi=dpi, **_ABOUT[format])
            write_whole(file, with_fonts(drawn.getvalue()) if format == "svg" else drawn.getbuffer())
    return paths
