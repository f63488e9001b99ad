"""All that the explorer shows of a run, as data that JSON can say: nothing is computed on the page but places."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lstm_probe.causal.against import OVERALL
from lstm_probe.causal.status import TRACKS
from lstm_probe.core.order import UNIT
from lstm_probe.core.vocabulary import NUMBERS
from lstm_probe.findings.cards import METRIC_WORDS, Card
from lstm_probe.findings.evidence import Findings
from lstm_probe.report.explorer.packing import pack
from lstm_probe.report.explorer.sequences import sequences_of
from lstm_probe.report.explorer.tables import (
    Places,
    effects_of,
    held_in,
    losses_of,
    memory_of,
    places_of,
    tuning_of,
)
from lstm_probe.report.explorer.text import text_of
from lstm_probe.runs.findings import against_in
from lstm_probe.runs.run import Run

#: About so many bytes a page's explorer takes in all. Tables come first; what they leave is for example sequences.
BUDGET = 1_450_000
#: So many are left for example sequences however large the tables are.
LEAST_ROOM = 200_000


def explorer_data(run: Run, findings: Findings, cards: Sequence[Card]) -> dict[str, Any] | None:
    """Return what the explorer in a run's page shows; None where no unit was looked at.

    Args:
        run: a finished run.
        findings: what its tables say.
        cards: of its units, in the order of the findings.
    """
    if not findings.units or not findings.signals:
        return None
    places = places_of(findings)
    effects = effects_of(run.probes, findings, places)
    held = held_in(findings, places, effects)
    matter = _matter(findings, effects["mark"])
    data: dict[str, Any] = {
        "run": run.name, "variable": findings.variable, "meanings": run.cell.meanings, "layers": findings.layers,
        "units": _units(findings, cards), "signals": _signals(run.probes, findings), "held": held,
        "effects": {name: pack(values, {"mark": "uint8", "lag": "uint16"}.get(name, "float64"))
                    for name, values in (effects | {"lag": np.nan_to_num(effects["lag"])}).items()},
        "losses": losses_of(run.ablations, places), "against": _against(run, places),
        "tuning": tuning_of(run.tuning, findings.variable, matter, places),
        "memory": memory_of(run.memory, findings.variable, matter, places),
    }  # fmt: skip
    lags = np.nan_to_num(effects["lag"]).astype(int)
    for one in held:
        lags[one["unit"], one["signal"]] = one["lag"]
    data["text"] = text_of(run, list(places.units), [fact.signal for fact in findings.signals], findings.variable)
    room = max(LEAST_ROOM, BUDGET - len(json.dumps(data, default=str)))
    data["examples"] = sequences_of(
        run.examples, list(places.units), {fact.signal: fact.kind for fact in findings.signals}, lags=lags, room=room,
        left_out=("h",) if run.info.get("projection") else (), cell=run.cell,
    )  # fmt: skip
    return data


def _matter(findings: Findings, mark: np.ndarray) -> list[str]:
    """Return the signals that have curves on the page: what the task needs, and what any unit was found to hold."""
    return [fact.signal for k, fact in enumerate(findings.signals)
            if fact.role in ("target", "latent") or mark[:, k].any()]  # fmt: skip


def _units(findings: Findings, cards: Sequence[Card]) -> list[dict[str, Any]]:
    """Return what is said of each unit; its group is the one that it stands in, in figures too."""
    found = []
    for unit, card in zip(findings.units, cards):
        group = TRACKS if unit.found == TRACKS else unit.status
        best = None if unit.best is None else unit.best.named
        found.append({
            "label": unit.label, "layer": unit.key[0], "direction": unit.key[1], "unit": unit.key[2],
            "group": f"layer {unit.key[0]}: {group}" if findings.layers else group, "quiet": unit.quiet,
            "status": unit.status, "title": card.title, "sentences": list(card.sentences), "best": best,
            "favourite": None if unit.best is None else unit.best.signal,
        })  # fmt: skip
    return found


def _signals(probes: pd.DataFrame, findings: Findings) -> list[dict[str, Any]]:
    """Return what is known of each signal as a whole."""
    metrics = probes.drop_duplicates("signal").set_index("signal")["metric"]
    return [{"name": fact.signal, "kind": fact.kind, "role": fact.role, "testable": fact.testable,
             "reason": fact.reason, "number": fact.kind in NUMBERS,
             "scale": METRIC_WORDS.get(metrics[fact.signal], metrics[fact.signal]), "told": fact.code_told}
            for fact in findings.signals]  # fmt: skip


def _against(run: Run, places: Places) -> dict[str, Any] | None:
    """Return what each unit tells, of the signal that it tells most of, beside the most that clamping it costs."""
    table = against_in(run)
    table = table[table["target"] == OVERALL]
    row = places.of(table) if len(table) else np.empty(0, dtype=int)
    if len(table.drop_duplicates(UNIT)) < 2 or not (row >= 0).any():
        return None
    found = {}
    for name in ("strength", "refit_drop"):
        values = np.full(len(places.units), np.nan)
        values[row[row >= 0]] = table[name].to_numpy(dtype=float)[row >= 0]
        found[name] = pack(values, "float64")
    probe, ablate = run.settings("probe"), run.settings("ablate")
    return found | {"min_effect": probe.get("min_effect"), "min_drop": ablate.get("min_drop")}
