"""What a run's tables say: facts, and every unit's card."""

from collections.abc import Mapping

import pandas as pd

from lstm_probe.findings.cards import CARD_COLUMNS, make_cards
from lstm_probe.findings.facts import Findings, find
from lstm_probe.runs.run import Run


def find_in(run: Run, tables: Mapping[str, pd.DataFrame] | None = None) -> Findings:
    """Return what a run's tables say; `tables` by name stand in the place of its own."""
    own = {**run.tables("probe"), **run.tables("ablate"), **(tables or {})}
    return find(run.info, own["probes"], own["populations"], own["ablations"], codes=own["codes"])


def unit_cards(run: Run) -> pd.DataFrame:
    """Return every unit's card: columns `CARD_COLUMNS`, units in reading order; `words` is its text."""
    found = make_cards(find_in(run), run.tables("probe"), run.config["probe"])
    rows = [(*card.key, card.status, card.title, " ".join(card.sentences)) for card in found]
    return pd.DataFrame(rows, columns=list(CARD_COLUMNS))
