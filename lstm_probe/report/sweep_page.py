"""The page of several runs: which sizes were enough, and a table of the runs, each linked to a page of its own."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lstm_probe.core.errors import InputError
from lstm_probe.core.order import shown_variable
from lstm_probe.figures import capacity_curves, save, used_over_sizes
from lstm_probe.findings.need_words import short_words
from lstm_probe.findings.words import size_words
from lstm_probe.probing.analyses.seeds import across_seeds
from lstm_probe.report.drawing import picture, run_figures
from lstm_probe.report.run_page import flat_rows, run_context
from lstm_probe.report.sizes import size_answers
from lstm_probe.report.templating import template, write
from lstm_probe.runs.run import Run
from lstm_probe.sizing.command import size_commands
from lstm_probe.sizing.outcomes import outcome_words, size_outcomes
from lstm_probe.sizing.recurring import recurring
from lstm_probe.sizing.stored import stored_sizes
from lstm_probe.sizing.sweeps import capacity_seeds, capacity_table, experiments
from lstm_probe.sizing.used import trained_sizes, used_table, used_words

#: What the quantities of the table of capacity are called.
QUANTITY_WORDS = {
    "score": "score", "tracked_signals": "signals that a unit tracks", "needed_alone_units": "units needed alone",
    "needed_together_units": "units needed together", "not_needed_units": "units not needed", "all_units": "all units",
}  # fmt: skip

CAPACITY_ALT = (
    "Scores, tracked signals, and shares of units that are needed and not needed, of each seed, against the number of "
    "units"
)

USED_ALT = "Units that carry the task when the others are merged into them, or clamped, against the number of units"


def over_seeds(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Return, by experiment, the rows of `across_seeds` about what the networks' memories track."""
    found = {}
    for name, members in experiments(runs).items():
        own = [run.probes[run.probes["variable"] == shown_variable(run.probes)] for run in members]
        table = across_seeds(own)
        table = table[table["role"].isin(("target", "latent"))].sort_values(["signal", "units"], kind="stable")
        found[name] = table.to_dict("records")
    return found


def write_report(
    runs: Sequence[Run],
    outputs: Path,
    done: Callable[[int], None] | None = None,
    left_out: Callable[[Run, Exception], None] | None = None,
) -> Path:
    """Write the page of all these runs and their figure files into `outputs`/report; return the page's path.

    Of several runs, each has a page of its own, runs/<task>/<name>.html, beside the page of all.

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
    about = {"tasks": {row["info"]["task"]: row["told"] for row in reversed(rows)}, "warned": _warned(shown),
             "varied": _varied(shown)}  # fmt: skip
    return write(folder / "index.html", template("sweep.html").render(rows=rows, **about, **_sweep(shown, outputs)))


def _write_one(run: Run, folder: Path, alone: bool) -> dict[str, Any]:
    """Write the page of one run of these; return what the page of all says of it."""
    place = Path("figures") / run.info["task"] / run.name
    page = Path("index.html") if alone else Path("runs") / run.info["task"] / f"{run.name}.html"
    up = "../" * (len(page.parts) - 1)
    context = run_context(run, run_figures(run, folder / place), f"{up}{place.as_posix()}")
    write(folder / page, template("run.html").render(run=context, back=None if alone else f"{up}index.html"))
    findings = context["findings"]
    return {"page": page.as_posix(), "name": run.name, "size": size_words(run.info), "info": run.info,
            "told": context["told"], "verdict": findings.verdict, "gist": short_words(findings)}  # fmt: skip


def _warned(runs: Sequence[Run]) -> Mapping[str, int]:
    """Return what was warned of while these runs were made, and in how many of them."""
    return Counter(line for run in runs for line in run.info.get("warnings", []))


def _varied(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return the settings, beside the size and the seed, of which these runs do not all have the same value."""
    flat = [dict(flat_rows({k: v for k, v in run.config.items() if k not in ("units", "seed")})) for run in runs]
    keys = dict.fromkeys(key for one in flat for key in one)
    values = {key: list(dict.fromkeys(str(one.get(key, "–")) for one in flat)) for key in keys}
    return {key: own for key, own in values.items() if len(own) > 1}


def _sweep(runs: Sequence[Run], outputs: Path) -> Mapping[str, Any]:
    """Return what the page of several runs says of all of them, its pictures drawn."""
    folder = outputs / "report"
    trained = [run for run in runs if run.trained]
    table, capacity = capacity_table(trained), None
    if trained:
        curves = folder / "figures" / "capacity"
        save(capacity_curves(table, capacity_seeds(trained)), curves)
        capacity = picture(curves, CAPACITY_ALT)
    used, from_start = used_table(trained), trained_sizes(trained, stored_sizes(outputs)[0])
    if len(used):
        enough = {task: size.units for task, size in from_start.items() if size.units is not None}
        save(used_over_sizes(used, trained=enough), folder / "figures" / "used")
    return {
        "capacity": capacity, "capacity_table": table.to_dict("records"), "QUANTITIES": QUANTITY_WORDS,
        "sentences": outcome_words(size_outcomes(trained)), "commands": size_commands(trained),
        "over_seeds": over_seeds(trained), "recurring": recurring(trained),
        "used": picture(folder / "figures" / "used", USED_ALT) if len(used) else None,
        "used_words": used_words(used, from_start), "from_start": from_start,
        "searches": size_answers(outputs, {run.info["task"] for run in trained}, folder),
    }  # fmt: skip
