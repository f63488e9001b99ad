"""What a run's tables say: facts, and every unit's card."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lstm_probe.core.order import UNIT
from lstm_probe.findings.cards import CARD_COLUMNS, About, Card, title
from lstm_probe.findings.evidence import Findings
from lstm_probe.findings.facts import find
from lstm_probe.runs.analyses import LIST
from lstm_probe.runs.analysis import resolve
from lstm_probe.runs.run import Run
from lstm_probe.runs.settings import COMMANDS

#: Tables of what units do together, which go with the table of what each costs alone.
TOGETHER = ("sets", "sufficient")


def find_in(run: Run, tables: Mapping[str, pd.DataFrame] | None = None) -> Findings:
    """Return what a run's tables say; `tables` by name stand in the place of its own."""
    own = {**run.tables(), **(tables or {})}
    if "ablations" in (tables or {}):  # the run's own sets are of other clamps
        own = {name: table for name, table in own.items() if name not in TOGETHER or name in (tables or {})}
    info = dict(run.info)
    if "ablations" not in {*run.measured, *(tables or {})}:
        info.setdefault("not_ablated", "it was left out")
    return find(
        info, own["probes"], own["populations"], own["ablations"], codes=own["codes"], memory=own["memory"],
        confounds=own["confounds"], sets=own.get("sets"), sufficient=own.get("sufficient"),
        used=own.get("used"),
    )  # fmt: skip


def make_cards(
    findings: Findings, tables: Mapping[str, pd.DataFrame], settings: Mapping[str, Mapping[str, Any]]
) -> list[Card]:
    """Return every unit's card, in the order of the findings.

    Args:
        findings: what the tables say.
        tables: of the analyses, by name; one that is not there has no sentence.
        settings: with which they were made, by command.
    """
    by_unit = {name: _by_unit(table) for name, table in tables.items() if set(UNIT) <= set(table)}
    cards = []
    for unit in findings.units:
        sentences: list[str] = []
        for which in ("card", "card_end"):
            for analysis in LIST:
                said = getattr(analysis, which)
                if said is not None and analysis.name in tables:
                    whole = tables[analysis.name]  # of one that is not about units
                    own = by_unit[analysis.name].get(unit.key, whole[:0]) if analysis.name in by_unit else whole
                    sentences += resolve(said)(own, About(unit, findings, settings[analysis.command]))
        cards.append(Card(unit.key, unit.label, unit.status, title(unit, findings), tuple(sentences)))
    return cards


def _by_unit(table: pd.DataFrame) -> dict[Any, pd.DataFrame]:
    """Return each unit's rows; words as objects, which are quick to take apart, and `attrs` copied once for each."""
    quick = table.astype(dict.fromkeys(table.select_dtypes("str").columns, object))
    quick.attrs = {}
    parts = dict(list(quick.groupby(UNIT)))
    for part in parts.values():
        part.attrs = table.attrs
    return parts


def run_settings(run: Run) -> dict[str, dict[str, Any]]:
    """Return the settings of a run's analyses, by command."""
    return {command: run.settings(command) for command in COMMANDS}


def unit_cards(run: Run) -> pd.DataFrame:
    """Return every unit's card: columns `CARD_COLUMNS`, units in reading order; `words` is its text."""
    found = make_cards(find_in(run), run.tables(), run_settings(run))
    rows = [(*card.key, card.status, card.title, " ".join(card.sentences)) for card in found]
    return pd.DataFrame(rows, columns=list(CARD_COLUMNS))
