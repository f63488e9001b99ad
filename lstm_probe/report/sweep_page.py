"""The page of several runs: which sizes were enough, and a table of the runs, each linked to a page of its own."""

import os
import stat
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lstm_probe.core.console import counted
from lstm_probe.core.errors import InputError
from lstm_probe.core.garbage import not_looked_for
from lstm_probe.report.pictures import picture, stored_pictures
from lstm_probe.report.run_page import PAGE, run_context
from lstm_probe.report.sizes import size_answers
from lstm_probe.report.sweep_tables import (
    SEED_NEEDED,
    alike_table,
    capacity_numbers,
    run_row,
    runs_table,
    tracked_over_seeds,
    varied_table,
)
from lstm_probe.report.templating import template, write
from lstm_probe.report.told import Told, told_of
from lstm_probe.runs.columns_of import TableReader
from lstm_probe.runs.findings import find_in, quick_run
from lstm_probe.runs.run import Run
from lstm_probe.runs.summary import gist_of
from lstm_probe.sizing.command import size_commands
from lstm_probe.sizing.outcomes import outcome_words, size_outcomes
from lstm_probe.sizing.recurring import recurring
from lstm_probe.sizing.stored import stored_sizes
from lstm_probe.sizing.sweeps import capacity_seeds, capacity_table, told_of_sizes
from lstm_probe.sizing.used import trained_sizes, used_table, used_words

CAPACITY_ALT = (
    "Scores, tracked signals, and shares of units that are needed and not needed, of each seed, against the number of "
    "units"
)

USED_ALT = "Units that carry the task when the others are merged into them, or clamped, against the number of units"


def write_report(
    runs: Sequence[Run],
    outputs: Path,
    left_out: Callable[[Run, Exception], None] | None = None,
    *,
    pages: int | None = None,
    partly: str = "",
) -> Path:
    """Write the page of all these runs and their figure files into `outputs`/report; return the page's path.

    Of several runs, each has a page of its own: the one that was written with the run, where there is one; else
    runs/<task>/<name>.html, beside the page of all. What the page says of all runs comes from their run.json, and of
    their tables from those columns alone that it shows.

    Args:
        runs: one or more finished runs.
        outputs: the folder in which report/index.html is made.
        left_out: called with a run that cannot be shown, and why; without it, that ends the report.
        pages: so many are drawn at most for runs that have none; None for all. A page takes seconds.
        partly: which runs these are, in a sentence, where they are not all that there are.

    Raises:
        InputError: no run can be shown.
    """
    folder = outputs / "report"
    given = list(runs)
    missing = [run for run in given if len(given) == 1 or not has_page(run)]
    drawn = {run.path for run in missing[:pages]}

    def kept(run: Run, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except OSError:  # what is written to
            raise
        except Exception as error:
            if left_out is None:
                raise
            left_out(run, error)
            return None

    # What can't be shown is found before anything is drawn.
    probes: dict[Path, Any] = {}
    tasks: dict[str, Told] = {}
    reader = TableReader("probes", SEED_NEEDED)
    lines = [kept(run, partial(_line, run, run.path in drawn, reader, probes, tasks))
             for run in counted(given, "reading runs")]  # fmt: skip
    for k in counted([k for k, run in enumerate(given) if lines[k] and run.path in drawn], "drawing pages"):
        page = kept(given[k], partial(_write_one, lines[k]["run"], folder, len(given) == 1))
        lines[k] = None if page is None else {**lines[k], "page": page}
    shown = [run for run, line in zip(given, lines) if line is not None]
    if not shown:
        raise InputError(f"{folder}: no run could be shown, so no page was written")
    if len(given) == 1:
        return folder / "index.html"
    alone = {run.path for run in missing}
    links = {run.path: _link(run, folder) for run in shown if run.path not in alone}
    rows = [run_row(run, line.get("page") or links.get(run.path), line["gist"])
            for run, line in zip(given, lines) if line is not None]  # fmt: skip
    about = {
        "partly": partly, "rows": runs_table(rows, bool(partly)), "n": len(rows), "tasks": tasks,
        "varied": varied_table(shown),
        "without_page": sum(run.path not in drawn for run in missing),
        "warned": Counter(line for run in shown for line in run.info.get("warnings", [])),
    }  # fmt: skip
    return write(folder / "index.html", template("sweep.html").render(**about, **_sweep(shown, outputs, probes)))


def _line(
    run: Run, drawn: bool, reader: TableReader, probes: dict[Path, Any], tasks: dict[str, Told]
) -> dict[str, Any]:
    """Return what the page of all says of a run; adds its probes, and its task where that is new, to what is known."""
    if drawn:
        for part in ("config", "history", "examples"):
            getattr(run, part)
        run = quick_run(run)
    line = {"run": run, "gist": gist_of(run)}
    if "probes" in run.measured:
        probes[run.path] = reader.read(run)
    if run.info["task"] not in tasks:
        tasks[run.info["task"]] = told_of(run, find_in(run))
    return line


def _link(run: Run, folder: Path) -> str:
    return quote(Path(os.path.relpath(run.path / PAGE, folder)).as_posix())


@not_looked_for()
def _write_one(run: Run, folder: Path, alone: bool) -> str:
    """Write the page of one run; return where it is, as seen from the page of all."""
    place = Path("figures") / run.info["task"] / run.name
    page = Path("index.html") if alone else Path("runs") / run.info["task"] / f"{run.name}.html"
    up = "../" * (len(page.parts) - 1)
    figures = None if stored_pictures(run) is not None else _drawn(run, folder / place)
    context = run_context(run, figures, f"{up}{place.as_posix()}")
    write(folder / page, template("run.html").render(run=context, back=None if alone else f"{up}index.html"))
    return page.as_posix()


def _drawn(run: Run, folder: Path) -> dict[str, Path]:
    from lstm_probe.report.drawing import run_figures

    return run_figures(run, folder)


def has_page(run: Run) -> bool:
    """Return whether the page that was written with a run is there, of the size that was written.

    Its digest is not compared: a page is megabytes, and a link to it claims no more. `runs check=true` does.
    """
    told, page = (run.files or {}).get(PAGE), run.path / PAGE
    try:
        return told is not None and stat.S_ISREG((found := page.lstat()).st_mode) and found.st_size == told["bytes"]
    except OSError:
        return False


def _sweep(runs: Sequence[Run], outputs: Path, probes: Mapping[Path, Any]) -> Mapping[str, Any]:
    """Return what the page of several runs says of all of them, its pictures drawn."""
    from lstm_probe.figures import capacity_curves, used_over_sizes
    from lstm_probe.report.drawing import draw_for_page

    folder = outputs / "report"
    trained, untold = told_of_sizes([run for run in runs if run.trained])
    table, capacity = capacity_table(trained), None
    if trained:
        curves = capacity_curves(table, capacity_seeds(trained))
        capacity = picture(draw_for_page(curves, folder / "figures" / "capacity"), CAPACITY_ALT)
    used, from_start = used_table(trained), trained_sizes(trained, stored_sizes(outputs)[0])
    if len(used):
        enough = {task: size.units for task, size in from_start.items() if size.units is not None}
        draw_for_page(used_over_sizes(used, trained=enough), folder / "figures" / "used")
    return {
        "untold": untold, "capacity": capacity, "capacity_table": capacity_numbers(table) if trained else None,
        "sentences": outcome_words(size_outcomes(trained)), "commands": size_commands(trained),
        "over_seeds": tracked_over_seeds(trained, probes),
        "recurring": {name: (found.lines, alike_table(found.rows) if found.rows else None)
                      for name, found in recurring(trained).items()},
        "used": picture(folder / "figures" / "used", USED_ALT) if len(used) else None,
        "used_words": used_words(used, from_start), "from_start": from_start,
        "searches": size_answers(outputs, {run.info["task"] for run in trained}, folder),
    }  # fmt: skip
