"""The tables of a run's page."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lstm_probe.core.errors import clean
from lstm_probe.core.numbers import known, number
from lstm_probe.findings.evidence import Evidence, Findings, SignalFact, UnitFact
from lstm_probe.findings.need_words import costs_words, stands_words
from lstm_probe.findings.words import CODES, also_words
from lstm_probe.report.tables import Cell, Column, Table, page_table
from lstm_probe.runs.analyses import chosen
from lstm_probe.runs.analysis import resolve
from lstm_probe.runs.run import Run

_EFFECT = "How well it predicts the signal on sequences that the fit never saw: 0 is chance, 1 is exact."
_UNTRAINED = "The effect that 95 % of the units of untrained networks stay below."

#: What belongs to the evidence for one unit and one signal.
_EVIDENCE = (
    Column("effect", meaning=_EFFECT, digits=2),
    Column("ci_low", "95 % interval", digits=2, upper="ci_high"),
    Column("untrained", meaning=_UNTRAINED, digits=2),
)


def run_tables(run: Run, findings: Findings) -> list[tuple[str, Table, bool]]:
    """Return a run's own tables: for each a heading, the table, and whether it is open from the start."""
    tables = []
    if findings.verdict.scores:
        tables.append(("Scores", _scores(findings), True))
    if findings.units:
        tables.append((f"Every unit ({len(findings.units)})", _units(findings), False))
        tables.append((f"Every signal ({len(findings.signals)})", _signals(findings), False))
    return tables


def small_tables(run: Run) -> dict[str, pd.DataFrame]:
    """Return the small table of each analysis of a run that has one, by name."""
    return {one.name: resolve(one.page)(getattr(run, one.name)) for one in chosen(run.measured) if one.page is not None}


def key_table(caption: str, rows: Sequence[tuple[str, Any]], name: str) -> Table:
    """Return keys and their values as a table."""
    told = [{"key": key, "value": Cell("none") if value is None else Cell(str(value))} for key, value in rows]
    return page_table(caption, [Column("key"), Column("value")], told, name=name)


def flat_rows(mapping: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return a nested mapping as rows of a key, such as "probe.alpha", and a value, lists as words."""
    rows: list[tuple[str, Any]] = []
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            rows += flat_rows(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            rows.append((f"{prefix}{key}", " ".join(clean(str(one)) for one in value)))
        else:
            rows.append((f"{prefix}{key}", clean(value) if isinstance(value, str) else value))
    return rows


def _scores(findings: Findings) -> Table:
    verdict = findings.verdict
    rows = [{"target": target, "score": score, "learned": verdict.learned.get(target, False)}
            for target, score in verdict.scores.items()]  # fmt: skip
    columns = [Column("target"), Column("score", digits=3, meter=True), Column("learned")]
    return page_table("Scores on sequences that were not trained on: 0 is chance, 1 is perfect.", columns, rows,
                      name="scores")  # fmt: skip


def _of(evidence: Evidence | None) -> dict[str, Any]:
    """Return the cells of a unit's evidence for a signal."""
    if evidence is None:
        return dict.fromkeys(("effect", "ci_low", "ci_high", "untrained"), float("nan"))
    return {"effect": evidence.effect, "ci_low": evidence.low, "ci_high": evidence.high,
            "untrained": evidence.untrained}  # fmt: skip


def _label(unit: str) -> int | str:
    """Return a unit's number as a number, so that units are sorted by it."""
    return int(unit) if unit.isdigit() else unit


def _units(findings: Findings) -> Table:
    def row(unit: UnitFact) -> dict[str, Any]:
        other, costliest = unit.elsewhere, max((cost.loss for cost in unit.costs if known(cost.loss)), default=None)
        costs = costs_words(unit, 20) or ("not known" if findings.need_unknown else "none that counts")
        return {
            "unit": _label(unit.label), "status": unit.status, "holds": None if unit.best is None else unit.best.named,
            **_of(unit.best), "also": ", ".join(f"{one.named} {number(one.effect)}" for one in unit.others),
            "elsewhere": "" if other is None else f"{other.variable}: {other.named} {number(other.effect)}",
            "costs": costs, "stands": stands_words(unit, 20), "costliest": costliest,
        }  # fmt: skip

    columns = [
        Column("unit", "layer·unit" if findings.layers else ""), Column("status"),
        Column("holds", "tracks or holds best", "The signal that its memory tells best, of those that it tracks."),
        *_EVIDENCE,
        Column("also", "also tracks", "Signals that it tells something of that no other signal tells; of earlier "
               "values and of curves, that was not measured."),
        Column("elsewhere", "best of its other variables"),
        Column("costs", "clamped, it costs", "What each target's score loses, after the output is brought back to "
               "scale."),
        Column("stands", "as it stands", "The same losses without bringing the output back to scale."),
        Column("costliest", "largest loss", digits=2),
    ]  # fmt: skip
    return page_table("What each unit's memory holds, and what clamping it costs.", columns,
                      [row(unit) for unit in findings.units], name="units")  # fmt: skip


def _signals(findings: Findings) -> Table:
    def row(fact: SignalFact) -> dict[str, Any]:
        beside = "goes with it" if fact.unit in {label for label, *_ in fact.goes_with} else "not found to track it"
        how = "" if fact.tracked_by else f" ({beside if fact.testable else 'not testable'})"
        held = bool(fact.tracked_by or fact.held_by or fact.goes_with)
        return {
            "signal": fact.signal, "kind": fact.kind, "role": fact.role,
            "unit": Cell(f"{fact.unit}{how}", fact.unit) if fact.best else None, **_of(fact.best),
            "also": also_words(fact) if held else None, "together": fact.together, "enough": fact.enough,
            "code": (fact.code if fact.held or fact.code not in CODES else f"({fact.code})") or None,
        }  # fmt: skip

    columns = [
        Column("signal"),
        Column("kind"),
        Column("role"),
        Column("unit", "best unit"),
        *_EVIDENCE,
        Column("also", "held by these too"),
        Column("together", "all units together", "The effect of all units' memories at once.", digits=2),
        Column("enough", "units for 90 % of that"),
        Column(
            "code",
            "held by",
            "How units hold it: see the words below. In brackets: only how it can be read from "
            "them, as none was found to remember it, or only to go with it.",
        ),
    ]
    return page_table("Each signal, the unit whose memory tells it best, and all others that hold it.", columns,
                      [row(fact) for fact in findings.signals], name="signals")  # fmt: skip
