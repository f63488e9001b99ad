"""The tables of a page of several runs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from lstm_probe.core.numbers import many, number
from lstm_probe.core.order import shown_variable
from lstm_probe.core.shown import listed
from lstm_probe.findings.evidence import Verdict
from lstm_probe.findings.words import size_words
from lstm_probe.probing.analyses.seeds import FEWEST_SEEDS, NEEDED, across_seeds
from lstm_probe.report.run_tables import flat_rows
from lstm_probe.report.tables import Cell, Column, Table, page_table
from lstm_probe.report.templating import sentence
from lstm_probe.runs.columns_of import put_together
from lstm_probe.runs.run import Run
from lstm_probe.sizing.sweeps import experiments

#: The columns of probes that the page shows something of.
SEED_NEEDED = NEEDED

#: What the quantities of the table of capacity are called.
QUANTITY_WORDS = {
    "score": "score", "tracked_signals": "signals that a unit tracks", "needed_alone_units": "units needed alone",
    "needed_together_units": "units needed together", "not_needed_units": "units not needed", "all_units": "all units",
}  # fmt: skip

#: So many values of a setting are listed.
MOST_VALUES = 24

_MEANS = f"Means are over seeds; their intervals by Student's t, from {FEWEST_SEEDS} seeds on."

#: What the measures of how alike networks are are called in the table of them.
_CHANCES = {"shuffled": ("exchanged sequences", "p_value"), "rotated": ("random directions", "p_rotation"),
            "untrained": ("untrained networks", "p_untrained")}  # fmt: skip


def learned_words(verdict: Verdict) -> str:
    """Return in a few words whether a task was learned."""
    if not verdict.scores:
        return "not scored"
    if verdict.lost:
        return f"NOT LEARNED: {', '.join(verdict.lost)}"
    return "learned" if verdict.solved else "learned, not solved"


def run_row(run: Run, page: str | None, gist: str) -> dict[str, Any]:
    """Return what the table of runs says of one; its page stands at `page`, if there is one."""
    info = run.info
    size = sentence(f"{size_words(info)}, seed {info['seed']}")
    verdict = Verdict(info["solved"], dict(info["scores"]), dict(info["learned"]))
    shown = size if page is None else Markup('<a href="{}">{}</a>').format(page, size)
    return {
        "run": Cell(shown, run.name), "task": info["task"], "units": info["units"], "seed": info["seed"],
        "learned": learned_words(verdict),
        "lowest": verdict.scores[verdict.lowest] if verdict.scores else None,
        "of": verdict.lowest if verdict.scores else None, "gist": gist,
    }  # fmt: skip


def runs_table(rows: Sequence[Mapping[str, Any]], partly: bool = False) -> Table:
    """Return the table of runs; `partly`: they are not all that there are."""
    several = [Column("task")] if len({row["task"] for row in rows}) > 1 else []
    columns = [
        Column("run", meaning="One that is a link has a page of its own."), *several, Column("units"), Column("seed"),
        Column("learned", meaning="Whether every target was learned, and solved."),
        Column("lowest", "lowest score", "Of all targets: 0 is chance, 1 is perfect.", 3), Column("of", "of"),
        Column("gist", "which unit remembers what, and how many are needed", "Signal → the unit that tells it best. "
               "Needed: clamping it costs, alone or together with others."),
    ]  # fmt: skip
    return page_table("Every run that was asked for." if partly else "Every run.", columns, rows, name="runs")


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _over(row: Mapping[str, Any]) -> Cell:
    """Return an interval over seeds; from so many seeds on as make one."""
    if row["n_seeds"] >= FEWEST_SEEDS:
        return Cell(f"{number(row['ci_low'])} to {number(row['ci_high'])}", row["ci_low"])
    return Cell("too few seeds" if row["n_seeds"] > 1 else "one seed", None)


def capacity_numbers(capacity: pd.DataFrame) -> Table:
    """Return the numbers behind the curves over sizes."""
    rows = [row | {"quantity": QUANTITY_WORDS[row["quantity"]], "interval": _over(row)} for row in _records(capacity)]
    columns = [Column("task"), Column("units"), Column("quantity"), Column("target"), Column("mean", digits=2),
               Column("interval", "95 % interval"), Column("n_seeds", "seeds")]  # fmt: skip
    return page_table(_MEANS, columns, rows, name="capacity")


def tracked_over_seeds(runs: Sequence[Run], probes: Mapping[Path, Any]) -> dict[str, Table]:
    """Return, by experiment, what the networks' memories track, each network one sample.

    Args:
        runs: of any experiments.
        probes: by the folders of runs, what `TableReader` reads of their probes; columns `SEED_NEEDED`.
    """
    found = {}
    for name, members in experiments(runs).items():
        whole = put_together([probes[run.path] for run in members if run.path in probes])
        if whole is None:
            continue
        own = whole.to_pandas()
        table = across_seeds(own[own["variable"] == shown_variable(own)])
        table = table[table["role"].isin(("target", "latent"))].sort_values(["signal", "units"], kind="stable")
        rows = []
        for row in _records(table):
            n, ago = (
                round(row["share_tracked"] * row["n_seeds"]),
                f" {many(row['lag'], 'step')} ago" if row["lag"] else "",
            )
            rows.append(row | {"signal": f"{row['signal']}{ago}", "interval": _over(row),
                               "tracked": Cell(f"in {n} of {row['n_seeds']}", n)})  # fmt: skip
        columns = [Column("signal"), Column("units"), Column("tracked", "some unit tracks it"),
                   Column("best_effect", "effect of the best unit", digits=2), Column("interval", "95 % interval"),
                   Column("tracking_units", "units that track it, mean", digits=1)]  # fmt: skip
        caption = "Each trained network is one sample: what only one seed shows may be that network's own."
        found[name] = page_table(f"{caption} {_MEANS}", columns, rows, name="over-seeds")
    return found


def alike_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return how alike networks are, by each measure."""
    chances = [column for key, (label, p) in _CHANCES.items()
               for column in (Column(key, label, digits=2), Column(p, f"p ({label})", digits=3))]  # fmt: skip
    columns = [Column("measure"), Column("similarity", "alike", digits=2),
               Column("ci_low", "95 % interval", digits=2, upper="ci_high"), *chances]  # fmt: skip
    return page_table("Means over all pairs of networks. cka: debiased linear CKA; procrustes: what a rotation brings "
                      "together; both look at all units at once.", columns, rows, name="alike")  # fmt: skip


def varied_table(runs: Sequence[Run]) -> Table | None:
    """Return the settings, beside size and seed, that these runs do not share; None where they share all."""
    flat = [dict(flat_rows({k: v for k, v in run.config.items() if k not in ("units", "seed")})) for run in runs]
    keys = dict.fromkeys(key for one in flat for key in one)
    values = {key: Counter(str(one.get(key, "–")) for one in flat) for key in keys}
    rows = [{"key": key, "values": listed([f"{value} ({n})" for value, n in own.items()], MOST_VALUES)}
            for key, own in values.items() if len(own) > 1]  # fmt: skip
    columns = [Column("key"), Column("values", "values (runs)")]
    caption = "Settings that differ between the runs, beside units and seed; all others are the same."
    return page_table(caption, columns, rows, name="varied") if rows else None
