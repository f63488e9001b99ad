"""A run's figures: drawn into a folder, or as they were when it was made, and put into a page."""

import base64
import io
import re
from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from lstm_probe.causal.against import rank_correlations, tracked_against_needed
from lstm_probe.causal.status import unit_statuses
from lstm_probe.core.errors import InputError
from lstm_probe.core.order import UNIT, UnitKey, shown_variable
from lstm_probe.figures import learning_curve, save, traces, tracked_needed, units_overview
from lstm_probe.figures.coloured_text import coloured_text
from lstm_probe.figures.saving import PNG_DPI
from lstm_probe.runs.analyses import chosen
from lstm_probe.runs.analysis import resolve
from lstm_probe.runs.coloured import coloured_text_table, traces_of
from lstm_probe.runs.once import once
from lstm_probe.runs.run import Run

#: Bytes of one picture, and of all pictures of a page, as SVG: what is above goes into the page as pixels, which take
#: about so many.
LARGEST_SVG, ALL_SVG, PIXELS = 400_000, 600_000, 90_000

#: The figures of a run as a whole, in the order in which they are shown; the others are of its analyses.
WHOLE = ("units", "tracked", "text", "traces", "learning")


def figures_of(
    run: Run, *, style: str = "notebook", width: str | float | None = None
) -> dict[str, Callable[[], Figure]]:
    """Return what draws each figure that there are rows for: of the run as a whole, then of its analyses.

    Args:
        run: a finished run.
        style: of each figure: "notebook", "paper" or "talk".
        width: of each figure: "column", "page" or inches; None for what each takes.
    """
    look: dict[str, Any] = {"style": style, "width": width}
    order, memory = unit_order(run), run.cell.memory
    known: dict[str, Any] = {"order": order, "variable": memory, "cell": run.cell}
    draw: dict[str, Callable[[], Figure]] = {}
    if "probes" in run.measured:
        draw["units"] = lambda: units_overview(
            run.probes, run.ablations, variable=memory, memory=run.memory, cell=run.cell, **look
        )
        if (against := against_of(run)) is not None:
            draw["tracked"] = lambda: tracked_needed(against, rank_correlations(against), **_bars(run), **look)
        if (text := _coloured(run)) is not None:
            draw["text"] = lambda: coloured_text(text, label=f"tanh({memory})", **look)
        traced = traces_of(run)
        if len(traced):
            draw["traces"] = lambda: traces(traced, order=order, cell=run.cell, **look)
    for analysis in chosen(run.measured):
        if analysis.figure is not None:
            table = getattr(run, analysis.name)
            rows = table if analysis.drawn is None else resolve(analysis.drawn)(table)
            if len(rows):
                figure = resolve(analysis.figure)
                takes = signature(figure).parameters
                own = {name: value for name, value in known.items() if name in takes}
                draw[analysis.picture or analysis.name] = partial(figure, rows, **own, **look)
    if (run.history["metric"] == "loss").any():  # a network made elsewhere has none
        draw["learning"] = lambda: learning_curve(run.history, solved=_solved(run), **look)
    return draw


def unit_order(run: Run) -> list[UnitKey]:
    """Return a run's units in the order of its overview; a unit's place gives its colour in each figure."""
    if "probes" not in run.measured:
        return []
    variable = shown_variable(run.probes, run.cell.memory)
    return list(unit_statuses(run.probes, run.ablations, variable, run.memory).index)


def against_of(run: Run) -> pd.DataFrame | None:
    """Return what each unit tells of each target beside what clamping it costs; None where there is nothing to draw."""
    if not {"probes", "ablations"} <= set(run.measured):
        return None
    probes, ablations = run.probes, run.ablations
    table = once(run, "against", [probes, ablations],
                 lambda: tracked_against_needed(probes, ablations, variable=run.cell.memory))  # fmt: skip
    known = table[table["strength"].notna()]
    return table if len(known.drop_duplicates(UNIT)) >= 2 else None


def _bars(run: Run) -> dict[str, float]:
    """Return the run's own bars of what counts as tracked, and as a cost."""
    probe, ablate = run.settings("probe"), run.settings("ablate")
    own = {name: probe.get(name) for name in ("min_effect", "min_effect_class")} | {"min_drop": ablate.get("min_drop")}
    return {name: float(value) for name, value in own.items() if value is not None}


def run_figures(run: Run, folder: Path) -> dict[str, Path]:
    """Draw a run's own figures into a folder as SVG; return the paths without suffix by figure.

    Of those that are too large for a page there is a PNG too.
    """
    drawn = {name: figure() for name, figure in figures_of(run).items()}
    files = {name: save(figure, folder / name, formats=("svg",))[0] for name, figure in drawn.items()}
    pixels = in_pixels({name: len(slim(file.read_bytes())) for name, file in files.items()})
    for name, figure in drawn.items():
        if name in pixels:
            save(figure, folder / name, formats=("png",))
        else:
            (folder / f"{name}.png").unlink(missing_ok=True)  # one of an earlier drawing
    return {name: folder / name for name in drawn}


def draw_for_page(figure: Figure, path: Path) -> Path:
    """Write a figure as SVG and PNG; return the path, without suffix."""
    save(figure, path)
    return path


def in_pixels(sizes: Mapping[str, int]) -> set[str]:
    """Return which of a page's pictures go into it as pixels, by how many bytes each takes as SVG.

    >>> in_pixels({"a": 500_000, "b": 20_000}), sorted(in_pixels({"a": 300_000, "b": 250_000, "c": 290_000}))
    ({'a'}, ['a', 'c'])
    """
    chosen, total = set(), sum(sizes.values())
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        if size > LARGEST_SVG or (total > ALL_SVG and size > PIXELS):
            chosen.add(name)
            total -= size - PIXELS
    return chosen


def stored_pictures(run: Run) -> dict[str, tuple[bytes, bytes | None]] | None:
    """Return the figures that were drawn when a run was made, SVG and PNG, by name; None where they are not as told.

    They may be anybody's: they are to be shown as images, which run no script and load nothing, and not to be copied.
    """
    files = run.files or {}
    known = dict.fromkeys([*WHOLE, *(one.picture or one.name for one in chosen(run.measured) if one.figure)])
    names = [name for name in known if f"figures/{name}.svg" in files]
    try:
        return {name: (run.read(f"figures/{name}.svg", bytes),
                       run.read(f"figures/{name}.png", bytes) if f"figures/{name}.png" in files else None)
                for name in names} or None  # fmt: skip
    except InputError:
        return None


def _coloured(run: Run) -> pd.DataFrame | None:
    """Return the table behind the coloured text, or None if there is nothing to colour."""
    try:
        table = coloured_text_table(run)
    except InputError:  # the text is not there any more
        return None
    return None if table.empty else table


def _solved(run: Run) -> float | None:
    """Return the score from which on all targets count as solved; None if they differ, or a table is gone."""
    try:
        solved = {target.solved for target in run.task.targets}
    except InputError:  # the task reads a file that is not there any more, or has changed
        return None
    return solved.pop() if len(solved) == 1 else None


def slim(svg: bytes) -> bytes:
    """Return an SVG without its prologue, its coordinates cut to hundredths of a point."""
    drawing = svg[svg.index(b"<svg") :]
    return re.sub(rb' (?:d|x|y)="[^"]+"', lambda found: re.sub(rb"(\.\d\d)\d+", rb"\1", found[0]), drawing)


def pictures(drawn: Mapping[str, tuple[bytes, bytes | None]]) -> dict[str, dict[str, Any]]:
    """Return what a page needs of its figures, SVG and PNG by name; see `in_pixels`."""
    slimmed = {name: slim(svg) for name, (svg, _) in drawn.items()}
    pixels = in_pixels({name: len(svg) for name, svg in slimmed.items()})
    return {name: _packed(svg, drawn[name][1] if name in pixels else None) for name, svg in slimmed.items()}


def picture(path: Path, alt: str) -> dict[str, Any]:
    """Return what a page needs of a figure that was written as SVG and PNG: a data URI, its alt text, its size."""
    return pictures({"": read_drawn(path)})[""] | {"alt": alt, "files": ["svg", "png"]}


def read_drawn(path: Path) -> tuple[bytes, bytes | None]:
    """Return a figure's SVG, and its PNG where there is one; `path` is without suffix."""
    svg, png = (path.with_name(f"{path.name}.{suffix}") for suffix in ("svg", "png"))
    return svg.read_bytes(), png.read_bytes() if png.exists() else None


def _packed(svg: bytes, png: bytes | None) -> dict[str, Any]:
    """Return a figure as a data URI, with its size in CSS pixels; as the pixels of the PNG where one is given."""
    if png is None:
        kind, content = "svg+xml", svg
        told = re.findall(rb""" (?:width|height)=["']([\d.]+)pt""", svg)[:2]
        size = [float(side) * 96 / 72 for side in (*told, 480, 360)]
    else:
        with Image.open(io.BytesIO(png)) as image:
            size = [side * 96 / PNG_DPI for side in image.size]
            packed = io.BytesIO()
            image.convert("RGB").save(packed, "WEBP", lossless=True, quality=0, method=1)
        kind, content = "webp", packed.getvalue()
    uri = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return {"uri": uri, "width": round(size[0]), "height": round(size[1]), "files": []}
