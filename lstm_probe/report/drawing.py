"""A run's figures: drawn into a folder, and put into a page.

They are drawn from its tables each time: those in its folder may be anybody's.
"""

import base64
import io
import re
from collections.abc import Callable
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from lstm_probe.causal.against import OVERALL, correlation_words, rank_correlations, tracked_against_needed
from lstm_probe.causal.status import unit_statuses
from lstm_probe.core.errors import InputError
from lstm_probe.core.order import UNIT, UnitKey, shown_variable
from lstm_probe.figures import learning_curve, save, traces, tracked_needed, units_overview
from lstm_probe.figures.coloured_text import coloured_text
from lstm_probe.figures.saving import PNG_DPI
from lstm_probe.runs.analyses import ANALYSES, chosen
from lstm_probe.runs.analysis import resolve
from lstm_probe.runs.coloured import coloured_text_table, example_texts
from lstm_probe.runs.examples import trace_table
from lstm_probe.runs.run import Run

LARGEST_SVG = 400_000  # bytes; a larger picture goes into the page as pixels

#: What the figures of a run as a whole show; an analysis says it of its own.
ALT = {
    "units": "Two heatmaps, units as rows: how well its memory predicts each signal, what clamping it costs",
    "tracked": "Dots, one for each unit: what it tells of a target, and what clamping it costs that target",
    "text": "Text that the network was not trained on, each character coloured by a unit's memory",
    "traces": "Each signal in an example sequence, and the memory of the unit that predicts it best",
    "learning": "Each target's score, and the loss, against training steps",
}


def alt_text(figure: str) -> str:
    """Return what a figure of a run shows, for those who do not see it."""
    if figure in ALT:
        return ALT[figure]
    return next(analysis.alt for analysis in ANALYSES.values() if figure == (analysis.picture or analysis.name))


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
    order = unit_order(run)
    ordered = look | {"order": order}
    draw: dict[str, Callable[[], Figure]] = {}
    if "probes" in run.measured:
        draw["units"] = lambda: units_overview(run.probes, run.ablations, memory=run.memory, **look)
        if (against := against_of(run)) is not None:
            draw["tracked"] = lambda: tracked_needed(against, rank_correlations(against), **_bars(run), **look)
        if (text := _coloured(run)) is not None:
            draw["text"] = lambda: coloured_text(text, **look)
        draw["traces"] = lambda: traces(trace_table(run.examples, run.probes, texts=example_texts(run)), **ordered)
    for analysis in chosen(run.measured):
        if analysis.figure is not None:
            table = getattr(run, analysis.name)
            rows = table if analysis.drawn is None else resolve(analysis.drawn)(table)
            if len(rows):
                figure = resolve(analysis.figure)
                own = ordered if "order" in signature(figure).parameters else look
                draw[analysis.picture or analysis.name] = partial(figure, rows, **own)
    if (run.history["metric"] == "loss").any():  # a network made elsewhere has none
        draw["learning"] = lambda: learning_curve(run.history, solved=_solved(run), **look)
    return draw


def unit_order(run: Run) -> list[UnitKey]:
    """Return a run's units in the order of its overview; a unit's place gives its colour in each figure."""
    if "probes" not in run.measured:
        return []
    variable = shown_variable(run.probes)
    return list(unit_statuses(run.probes, run.ablations, variable, run.memory).index)


def against_of(run: Run) -> pd.DataFrame | None:
    """Return what each unit tells of each target beside what clamping it costs; None where there is nothing to draw."""
    if not {"probes", "ablations"} <= set(run.measured):
        return None
    table = tracked_against_needed(run.probes, run.ablations)
    known = table[table["strength"].notna()]
    return table if len(known.drop_duplicates(UNIT)) >= 2 else None


def against_words(run: Run) -> str:
    """Say how well what units tell goes with what clamping them costs; nothing where there is no such figure."""
    table = against_of(run)
    if table is None:
        return ""
    overall = rank_correlations(table).set_index("target").to_dict("index")[OVERALL]
    return f"Over all signals and targets: {correlation_words(overall)}."


def _bars(run: Run) -> dict[str, float]:
    """Return the run's own bars of what counts as tracked, and as a cost."""
    probe, ablate = run.settings("probe"), run.settings("ablate")
    own = {name: probe.get(name) for name in ("min_effect", "min_effect_class")} | {"min_drop": ablate.get("min_drop")}
    return {name: float(value) for name, value in own.items() if value is not None}


def run_figures(run: Run, folder: Path) -> dict[str, Path]:
    """Draw a run's own figures into a folder as SVG and PNG; return the paths without suffix by figure."""
    draw = figures_of(run)
    for name, figure in draw.items():
        save(figure(), folder / name)
    return {name: folder / name for name in draw}


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


def _slim(svg: str) -> str:
    """Return an SVG without its prologue, its coordinates cut to hundredths of a point."""
    drawing = svg[svg.index("<svg") :]
    return re.sub(r' (?:d|x|y)="[^"]+"', lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), drawing)


def picture(path: Path, alt: str, largest: int = LARGEST_SVG) -> dict[str, str]:
    """Return what the page needs of a figure: a data URI, its alt text, and its width in CSS pixels.

    It goes in as SVG; where that takes more than `largest` bytes, as the PNG's pixels, packed as WebP.
    """
    svg = _slim(Path(f"{path}.svg").read_text(encoding="utf-8"))
    with Image.open(f"{path}.png") as image:
        width = round(image.width * 96 / PNG_DPI)
        if len(svg) <= largest:
            kind, content = "svg+xml", svg.encode()
        else:
            packed = io.BytesIO()
            image.convert("RGB").save(packed, "WEBP", lossless=True)
            kind, content = "webp", packed.getvalue()
    uri = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return {"uri": uri, "alt": alt, "width": str(width)}
