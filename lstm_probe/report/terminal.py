"""What was found about a run, on about one screen of the terminal."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from rich.text import Text

from lstm_probe.causal.status import ALONE, STATUSES, TOGETHER, TRACKS, UNKNOWN
from lstm_probe.core.console import out
from lstm_probe.core.numbers import UNKNOWN as DASH
from lstm_probe.core.numbers import cell, known, number
from lstm_probe.core.tables import WordTable
from lstm_probe.findings.evidence import Evidence, Findings, UnitFact
from lstm_probe.findings.need_words import (
    alone_words,
    costs_words,
    hardly_words,
    others_words,
    together_words,
    used_words,
)
from lstm_probe.findings.words import (
    UNMEASURED,
    code_words,
    origin_words,
    signal_words,
    size_words,
    unit_words,
    untested_words,
    verdict_words,
)
from lstm_probe.runs.analyses import chosen
from lstm_probe.runs.analysis import resolve
from lstm_probe.runs.findings import find_in
from lstm_probe.runs.run import Run

MOST_ROWS = 16
#: From so many columns on there is room for two costs.
WIDE = 96
#: The tables that the findings are made of.
FINDINGS = ("probes", "populations", "codes", "memory", "confounds", "ablations", "sets", "sufficient", "used")


def print_findings(
    run: Run, *, tables: Mapping[str, pd.DataFrame] | None = None, folder: Path | None = None
) -> Findings | None:
    """Print whether the task was learned, what the units remember and which are needed, and where the rest is.

    Returns what was found of units and signals; None where tables are of something else.

    Args:
        run: a finished run.
        tables: made with other settings, by name, shown instead of the run's own.
        folder: where these tables are; the run's own folder where it is None.
    """
    findings = None
    if tables is None or any(name in tables for name in FINDINGS):
        findings = find_in(run, tables)
        out.print(Text(f"{size_words(run.info)}: ", "bold") + _verdict(findings))
        if len(findings.quiet) < len(findings.units):
            out.print()
            out.print(units_table(findings))
        for line in notes(findings) if findings.units else (UNMEASURED,):
            out.print(Text(line))
    made = tables or {}
    for analysis in chosen(list(made)):
        if analysis.page is not None:
            small = resolve(analysis.page)(made[analysis.name])
            lines = [] if analysis.words is None else list(resolve(analysis.words)(made[analysis.name]))
            empty = not len(small) and not lines
            out.print(Text(f"\n{analysis.name}: {analysis.says}{': nothing to show' if empty else ''}"))
            for line in lines:
                out.print(Text(line))
            if len(small):
                out.print(small_table(small))
    folder = run.path if folder is None else folder
    page = folder / "report.html"
    words = f"report: {page}" if page.exists() else f"tables: {folder}"
    out.print(Text(words), soft_wrap=True)
    return findings


def small_table(table: pd.DataFrame) -> WordTable:
    """Return an analysis's small table for the terminal; labels that are the same in every row are left out."""
    kept = [name for name in table if table[name].nunique(dropna=False) > 1 or name in ("signal", "unit", "target")
            or len(table) == 1 or (table[name].dtype.kind == "f" and table[name].notna().any())]  # fmt: skip
    words = [str(name).replace("_", " ") for name in kept]
    shown = WordTable(*words, numbers=[own for own, name in zip(words, kept) if table[name].dtype.kind in "iuf"])
    for row in table[kept].itertuples(index=False, name=None):
        shown.add_row(*(cell(value) for value in row))
    return shown


def _verdict(findings: Findings) -> Text:
    if not findings.verdict.scores:
        return Text(verdict_words(findings.verdict), "yellow")
    style = "bold red" if findings.verdict.lost else "green" if findings.verdict.solved else "yellow"
    return Text(verdict_words(findings.verdict), style)


def _evidence(evidence: Evidence | None) -> tuple[str, str, str]:
    """Return the cells for signal, effect and interval, and untrained baseline."""
    if evidence is None:
        return DASH, "", ""
    low, high = evidence.low, evidence.high
    span = f" ({number(low)}–{number(high)})" if known(low, high) else ""
    return evidence.named, number(evidence.effect) + span, number(evidence.untrained)


def units_table(findings: Findings, most: int = MOST_ROWS) -> WordTable:
    """Return a table of the units of which there is something to say, grouped by status; at most `most` rows.

    Where there are more, those stay that tell most: of each signal its best unit, then the costliest.
    """
    shown = [unit for unit in findings.units if not unit.quiet]
    if len(shown) > most:
        leaders = {(*fact.tracked_by, *(label for label, _ in fact.held_by))[0]
                   for fact in findings.signals if fact.tracked_by or fact.held_by}  # fmt: skip
        ranked = sorted(shown, key=lambda u: (u.label not in leaders, -(u.costs[0].loss if u.costs else 0.0)))
        kept = {unit.label for unit in ranked[:most]}
        shown = [unit for unit in shown if unit.label in kept]
    costs = [] if findings.need_unknown else ["it costs"]
    table = WordTable("status", "unit", f"its {findings.variable} remembers", "effect (95 %)", "untrained", *costs,
                      numbers=("unit",), spare=("untrained",))  # fmt: skip
    for status in STATUSES:
        own = [unit for unit in shown if unit.status == status]
        parts = status.replace(", ", ",|").split("|")  # one below the other, as the two words are wide
        told = parts if len(own) >= len(parts) else ["\n".join(parts)]
        for unit, words in zip(own, [*told, *[""] * len(own)]):
            _add_row(table, unit, words, 0 if findings.need_unknown else 2 if out.width >= WIDE else 1)
    return table


def _colour(unit: UnitFact) -> str:
    """Return green for what tracks and is needed, cyan for what only tracks, yellow for what is only needed."""
    if unit.found == TRACKS:
        return "green" if unit.needed in (ALONE, TOGETHER, UNKNOWN) else "cyan"
    return "yellow"


def _add_row(table: WordTable, unit: UnitFact, status: str, costs: int) -> None:
    """Add a unit's row, with so many of its costs."""
    name, effect, untrained = _evidence(unit.best)
    if unit.best is None and unit.elsewhere is not None:
        name = f"– ({unit.elsewhere.variable}: {unit.elsewhere.named} {number(unit.elsewhere.effect)})"
    also = ", ".join(evidence.named for evidence in unit.others[:2]) + (" …" if len(unit.others) > 2 else "")
    table.add_row(
        Text(status, _colour(unit)), unit.label,
        name + (f", {also}" if also else ""), effect, untrained,
        *([costs_words(unit, costs, "…", 2) or "none that counts"] if costs else []),
    )  # fmt: skip


def notes(findings: Findings, most: int = MOST_ROWS) -> list[str]:
    """Return the lines below the table: what it leaves out, and signals that no unit was found to track."""
    lines = []
    left = len(findings.units) - len(findings.quiet) - most
    if left > 0:
        lines.append(f"and {left} more: see the report")
    lines += [f"{status}: {unit_words([unit.label for unit in findings.of_status(status)], 16)}"
              for status in dict.fromkeys(unit.status for unit in findings.quiet)]  # fmt: skip
    if findings.need_unknown:
        lines.append(f"Which units are needed {findings.need_unknown}.")
    else:
        said = (alone_words, hardly_words, others_words, together_words, used_words)
        lines += filter(None, (words(findings) for words in said))
    needed = [fact for fact in findings.signals if fact.role in ("target", "latent")]
    untested = untested_words([fact for fact in needed if fact in findings.untested])
    lines += [words for words in (origin_words(findings), code_words(findings), untested) if words]
    return lines + [signal_words(fact) for fact in needed if not fact.tracked_by]
