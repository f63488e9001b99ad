"""The page of several runs: which sizes were enough, and a table of the runs, each linked to a page of its own."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lstm_probe.core.errors import InputError
from lstm_probe.figures import capacity_curves, used_over_sizes
from lstm_probe.report.drawing import draw_for_page, picture, run_figures, stored_pictures
from lstm_probe.report.run_page import PAGE, run_context
from lstm_probe.report.sizes import size_answers
from lstm_probe.report.sweep_tables import (
    alike_table,
    capacity_numbers,
    run_row,
    runs_table,
    tracked_over_seeds,
    varied_table,
)
from lstm_probe.report.templating import template, write
from lstm_probe.report.told import Told, told_of
from lstm_probe.runs.findings import find_in
from lstm_probe.runs.run import Run
from lstm_probe.sizing.command import size_commands
from lstm_probe.sizing.outcomes import outcome_words, size_outcomes
from lstm_probe.sizing.recurring import recurring
from lstm_probe.sizing.stored import stored_sizes
from lstm_probe.sizing.sweeps import capacity_seeds, capacity_table
from lstm_probe.sizing.used import trained_sizes, used_table, used_words

CAPACITY_ALT = (
    "Scores, tracked signals, and shares of units that are needed and not needed, of each seed, against the number of "
    "units"
)

USED_ALT = "Units that carry the task when the others are merged into them, or clamped, against the number of units"


def write_report(
    runs: Sequence[Run],
    outputs: Path,
    done: Callable[[int], None] | None = None,
    left_out: Callable[[Run, Exception], None] | None = None,
) -> Path:
    """Write the page of all these runs and their figure files into `outputs`/report; return the page's path.

    Of several runs, each has a page of its own: the one that was written with the run, where it is as it was; else
    runs/<task>/<name>.html, beside the page of all.

    Args:
        runs: one or more finished runs.
        outputs: the folder in which report/index.html is made.
        done: called with the number of runs that are ready.
        left_out: called with a run that cannot be shown, and why; without it, that ends the report.

    Raises:
        InputError: no run can be shown.
    """
    folder = outputs / "report"
    shown, rows = [], []
    for k, run in enumerate(runs):
        try:
            rows.append(_write_one(run, folder, alone=len(runs) == 1))
            shown.append(run)
        except OSError:  # what is written to
            raise
        except Exception as error:
            if left_out is None:
                raise
            left_out(run, error)
        if done is not None:
            done(k + 1)
    if not shown:
        raise InputError(f"{folder}: no run could be shown, so no page was written")
    if len(runs) == 1:
        return folder / "index.html"
    about = {
        "rows": runs_table([row for row, _ in rows]),
        "n": len(rows),
        "varied": varied_table(shown),
        "tasks": {run.info["task"]: told for run, (_, told) in reversed(list(zip(shown, rows)))},
        "warned": Counter(line for run in shown for line in run.info.get("warnings", [])),
    }
    return write(folder / "index.html", template("sweep.html").render(**about, **_sweep(shown, outputs)))


def _write_one(run: Run, folder: Path, alone: bool) -> tuple[dict[str, Any], Told]:
    """Write the page of one run of these, if there is none; return what the page of all says of it, and of its task."""
    if not alone and has_page(run):
        findings = find_in(run)
        link = quote(Path(os.path.relpath(run.path / PAGE, folder)).as_posix())
        return run_row(run, link, findings), told_of(run, findings)
    place = Path("figures") / run.info["task"] / run.name
    page = Path("index.html") if alone else Path("runs") / run.info["task"] / f"{run.name}.html"
    up = "../" * (len(page.parts) - 1)
    stored = stored_pictures(run) is not None
    context = run_context(run, None if stored else run_figures(run, folder / place), f"{up}{place.as_posix()}")
    write(folder / page, template("run.html").render(run=context, back=None if alone else f"{up}index.html"))
    return run_row(run, page.as_posix(), context["findings"]), context["told"]


def has_page(run: Run) -> bool:
    """Return whether the page that was written with a run is there, and as it was written."""
    try:
        return PAGE in (run.files or {}) and bool(run.read(PAGE, bytes))
    except InputError:
        return False


def _sweep(runs: Sequence[Run], outputs: Path) -> Mapping[str, Any]:
    """Return what the page of several runs says of all of them, its pictures drawn."""
    folder = outputs / "report"
    trained = [run for run in runs if run.trained]
    table, capacity = capacity_table(trained), None
    if trained:
        curves = capacity_curves(table, capacity_seeds(trained))
        capacity = picture(draw_for_page(curves, folder / "figures" / "capacity"), CAPACITY_ALT)
    used, from_start = used_table(trained), trained_sizes(trained, stored_sizes(outputs)[0])
    if len(used):
        enough = {task: size.units for task, size in from_start.items() if size.units is not None}
        draw_for_page(used_over_sizes(used, trained=enough), folder / "figures" / "used")
    return {
        "capacity": capacity, "capacity_table": capacity_numbers(table) if trained else None,
        "sentences": outcome_words(size_outcomes(trained)), "commands": size_commands(trained),
        "over_seeds": tracked_over_seeds(trained),
        "recurring": {name: (found.lines, alike_table(found.rows) if found.rows else None)
                      for name, found in recurring(trained).items()},
        "used": picture(folder / "figures" / "used", USED_ALT) if len(used) else None,
        "used_words": used_words(used, from_start), "from_start": from_start,
        "searches": size_answers(outputs, {run.info["task"] for run in trained}, folder),
    }  # fmt: skip
