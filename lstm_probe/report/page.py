"""The page: one self-contained HTML file per run, and one for all runs together."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from lstm_probe.core.errors import InputError, clean
from lstm_probe.core.order import shown_variable
from lstm_probe.core.vocabulary import ROLES, VARIABLE_MEANINGS
from lstm_probe.figures import capacity_curves, save, used_over_sizes
from lstm_probe.findings import need_words, words
from lstm_probe.findings.evidence import LEAST_PARTIAL
from lstm_probe.findings.looked_for import looked_for
from lstm_probe.probing.analyses.seeds import FEWEST_SEEDS, across_seeds
from lstm_probe.report.drawing import LARGEST_SVG, against_words, alt_text, picture, run_figures
from lstm_probe.report.explorer import explorer_data
from lstm_probe.report.sizes import size_answers
from lstm_probe.report.templating import environment, write
from lstm_probe.runs.analyses import LIST
from lstm_probe.runs.analysis import resolve
from lstm_probe.runs.findings import find_in, make_cards, run_settings
from lstm_probe.runs.run import Run
from lstm_probe.sizing.command import size_commands
from lstm_probe.sizing.outcomes import outcome_words, size_outcomes
from lstm_probe.sizing.recurring import recurring
from lstm_probe.sizing.stored import stored_sizes
from lstm_probe.sizing.sweeps import capacity_seeds, capacity_table, experiments
from lstm_probe.sizing.used import trained_sizes, used_table, used_words

_SVG_BYTES = 10_000_000  # of all runs' pictures on one page

#: Of a run.json, what stands elsewhere on the page, or says nothing to a reader.
NOT_SHOWN = ("scores", "learned", "run", "files", "digest", "warnings")

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


@cache
def _template(name: str) -> jinja2.Template:
    made = environment()
    made.globals |= {
        "words": words,
        "needs": need_words,
        "FEWEST_SEEDS": FEWEST_SEEDS,
        "LEAST_PARTIAL": LEAST_PARTIAL,
        "QUANTITIES": QUANTITY_WORDS,
        "ROLES": ROLES,
        "VARIABLES": VARIABLE_MEANINGS,
    }
    return made.get_template(name)


def analyses_of(run: Run) -> list[dict[str, Any]]:
    """Return what the page says of each analysis beside the answer: its picture's caption, its own small table."""
    found = []
    for analysis in LIST:
        measured, table = analysis.name in run.measured, None
        if measured and analysis.page is not None:
            small = resolve(analysis.page)(getattr(run, analysis.name))
            rows = small.astype(object).where(small.notna(), float("nan")).values.tolist()
            told = [] if analysis.words is None else list(resolve(analysis.words)(getattr(run, analysis.name)))
            columns = {name: analysis.columns.get(name, "") for name in small}
            table = {"columns": columns, "rows": rows, "words": told}
        if measured or analysis.default:
            found.append({"name": analysis.name, "says": analysis.says, "measured": measured, "table": table,
                          "picture": analysis.picture or analysis.name, "caption": analysis.caption})  # fmt: skip
    return found


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            rows.append((f"{prefix}{key}", " ".join(clean(str(one)) for one in value)))
        else:
            rows.append((f"{prefix}{key}", clean(value) if isinstance(value, str) else value))
    return rows


def _run_context(run: Run, figures: Mapping[str, Path], links: str, runs: int = 1) -> dict[str, Any]:
    """Return what a page of several runs shows of one; `links` leads from the page to its figure files."""
    largest = min(LARGEST_SVG, _SVG_BYTES // (runs * max(1, len(figures))))
    findings = find_in(run)
    cards = make_cards(findings, run.tables(), run_settings(run))
    return {
        "name": run.name, "info": run.info, "findings": findings, "links": links,
        "cards": cards, "settings": run_settings(run), "explorer": explorer_data(run, findings, cards),
        "pictures": {name: picture(path, alt_text(name), largest) for name, path in figures.items()},
        "analyses": analyses_of(run), "against": against_words(run) if "tracked" in figures else "",
        "config": _flat(run.config), "earlier": "p_untrained" not in run.probes,
        "clamped": bool(len(run.ablations)),
        "warnings": run.info.get("warnings", []),
        "looked_for": looked_for(run.measured, [fact.kind for fact in findings.signals]),
        "provenance": _flat({k: v for k, v in run.info.items() if k not in NOT_SHOWN}),
    }  # fmt: skip


def write_run_report(run: Run, folder: Path) -> Path:
    """Write a run's page (report.html) and figures (figures/*.svg, *.png); return the page's path."""
    figures = run_figures(run, folder / "figures")
    context = _run_context(run, figures, "figures")
    return write(folder / "report.html", _template("run.html").render(run=context))


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

    Args:
        runs: one or more finished runs.
        outputs: the folder in which report/index.html is made.
        done: called with the number of runs that are ready.
        left_out: called with a run that cannot be shown, and why; without it, that ends the report.

    Raises:
        InputError: no run can be shown.
    """
    folder = outputs / "report"
    shown, contexts = [], []
    for k, run in enumerate(runs):
        place = Path("figures") / run.info["task"] / run.name
        try:
            contexts.append(_run_context(run, run_figures(run, folder / place), place.as_posix(), len(runs)))
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
    runs = shown
    if len(runs) == 1:
        return write(folder / "index.html", _template("run.html").render(run=contexts[0]))
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
    page = _template("runs.html").render(
        runs=contexts, capacity=capacity, capacity_table=table.to_dict("records"),
        sentences=outcome_words(size_outcomes(trained)), commands=size_commands(trained),
        over_seeds=over_seeds(trained), recurring=recurring(trained),
        used=picture(folder / "figures" / "used", USED_ALT) if len(used) else None,
        used_words=used_words(used, from_start), from_start=from_start,
        searches=size_answers(outputs, {run.info["task"] for run in trained}, folder),
    )  # fmt: skip
    return write(folder / "index.html", page)
