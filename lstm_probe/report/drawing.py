"""A run's figures, drawn: into a folder, or for a page."""

from collections.abc import Callable
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lstm_probe.causal.against import rank_correlations
from lstm_probe.causal.status import unit_statuses
from lstm_probe.core.errors import InputError
from lstm_probe.core.order import UnitKey, shown_variable
from lstm_probe.figures import learning_curve, save, traces, tracked_needed, units_overview
from lstm_probe.figures.coloured_text import coloured_text
from lstm_probe.report.pictures import against_of, in_pixels, slim
from lstm_probe.runs.analyses import chosen
from lstm_probe.runs.analysis import resolve
from lstm_probe.runs.coloured import coloured_text_table, traces_of
from lstm_probe.runs.run import Run


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
