"""From a run's tables to facts: what was learned, what each unit remembers, which units are used or idle."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstm_probe.causal.status import (
    IDLE,
    TRACKS_AND_USED,
    TRACKS_NOTHING,
    USED_ONLY,
    unit_statuses,
)
from lstm_probe.core.numbers import known
from lstm_probe.core.order import UNIT, UnitKey, several_layers, signal_order, unit_label
from lstm_probe.core.scale import effect_of


@dataclass(frozen=True)
class Verdict:
    """Whether the task was learned: each target's score and whether it counts as learned.

    `not_scored` says why there are no scores, where there are none.
    """

    solved: bool
    scores: Mapping[str, float]
    learned: Mapping[str, bool]
    not_scored: str = ""

    @property
    def lost(self) -> list[str]:
        """Return the targets that were not learned, worst first."""
        return sorted((t for t in self.scores if not self.learned.get(t, False)), key=lambda t: self.scores[t])

    @property
    def lowest(self) -> str:
        """Return the target with the lowest score."""
        return min(self.scores, key=lambda t: self.scores[t])


@dataclass(frozen=True)
class Evidence:
    """How well one variable of a unit predicts one signal, with 95 % interval, the baselines and p-values.

    All but the p-values are on the scale of `effect`: 0 is chance, 1 is exact. What an older run did not measure is
    NaN.
    """

    signal: str
    variable: str
    lag: int
    metric: str
    effect: float
    low: float
    high: float
    untrained: float
    input_only: float
    time_only: float
    untrained_best: float = np.nan
    input_window: float = np.nan
    p_family: float = np.nan
    q_value: float = np.nan

    @property
    def baseline(self) -> tuple[str, float]:
        """Return what does best without this unit's memory, in words, and its effect."""
        values = {
            "untrained units": self.untrained,
            "the current input alone": self.input_only,
            "the step's number alone": self.time_only,
        }
        return max(values.items(), key=lambda item: item[1] if known(item[1]) else -np.inf)


@dataclass(frozen=True)
class UnitFact:
    """What is known of one unit.

    Attributes:
        label: its number, with its layer where there are several.
        best: what its memory tracks best, None if nothing.
        others: what else its memory tracks, strongest first.
        elsewhere: the best that another of its variables tracks, None if nothing.
        costs: the targets that it costs to clamp it, with the loss of score, costliest first.
    """

    key: UnitKey
    label: str
    status: str
    best: Evidence | None
    others: tuple[Evidence, ...]
    elsewhere: Evidence | None
    costs: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class SignalFact:
    """What is known of one signal.

    Attributes:
        best: of the unit whose memory tells most of it, None where that is undefined: it never changes.
        unit: that unit's label.
        tracked_by: labels of all units whose memory tracks it, strongest first.
        together: effect of all units' memories together (of the best layer), NaN if unknown.
        enough: how many units reach 90 % of that, None if unknown.
        code: "localist" if a single unit holds it better than directions drawn at random do, "distributed" if only
            several together hold it, else "none", "undefined", or "" where it was not looked at.
    """

    signal: str
    kind: str
    role: str
    best: Evidence | None
    unit: str
    tracked_by: tuple[str, ...]
    together: float
    enough: int | None
    code: str = ""


@dataclass(frozen=True)
class Findings:
    """All facts about one run, units and signals in reading order.

    `not_ablated` says why no unit was clamped, where none was.
    """

    verdict: Verdict
    variable: str
    layers: bool
    units: tuple[UnitFact, ...]
    signals: tuple[SignalFact, ...]
    not_ablated: str = ""

    def of_status(self, *statuses: str) -> list[UnitFact]:
        """Return the units that have one of these statuses."""
        return [unit for unit in self.units if unit.status in statuses]

    @property
    def used(self) -> list[UnitFact]:
        """Return the units that the network uses, costliest first."""
        used = self.of_status(TRACKS_AND_USED, USED_ONLY)
        return sorted(used, key=lambda unit: -unit.costs[0][1])

    @property
    def idle(self) -> list[UnitFact]:
        """Return the units that track nothing and cost nothing, as far as that was measured."""
        return self.of_status(IDLE, TRACKS_NOTHING)


def _evidence(row: Any) -> Evidence:
    baselines = row.untrained, row.input_only, row.time_only
    added = ("untrained_best", "input_window", "p_family", "q_value")
    return Evidence(
        row.signal, row.variable, int(row.lag), row.metric, row.effect, row.ci_low, row.ci_high, *baselines,
        **{name: getattr(row, name, np.nan) for name in added},
    )  # fmt: skip


def find(
    info: Mapping[str, Any],
    probes: pd.DataFrame,
    populations: pd.DataFrame,
    ablations: pd.DataFrame,
    variable: str = "c",
    codes: pd.DataFrame | None = None,
) -> Findings:
    """Return what a run's tables say.

    A unit's status is that of its memory, the variable "c": gates are functions of what all units show, so a
    gate that predicts a signal says little of what its own unit remembers. The others: `UnitFact.elsewhere`.

    Args:
        info: a run's `run.json`: its keys scores, learned, solved, projection, not_scored and not_ablated.
        probes: columns `PROBE_COLUMNS`.
        populations: columns `POPULATION_COLUMNS`.
        ablations: columns `ABLATION_COLUMNS`.
        variable: looked at instead of the memory; the first one probed where this one was not.
        codes: columns `SIGNAL_CODE_COLUMNS`, if there are any.
    """
    if info.get("projection") and (probes["variable"] != "h").any():
        probes = probes[probes["variable"] != "h"]  # h then is of the layer's outputs, and of no unit
    statuses = unit_statuses(probes, ablations, variable)
    variable = statuses.attrs["variable"]
    layers = several_layers(list(statuses.index))
    ranked = probes.sort_values("effect", ascending=False, kind="stable", na_position="last")
    verdict = Verdict(bool(info["solved"]), dict(info["scores"]), dict(info["learned"]), info.get("not_scored", ""))
    units = _units(statuses, ranked[ranked["tracks"].astype(bool)], ablations, variable, layers)
    held = {} if codes is None else _codes(codes[codes["variable"] == variable])
    signals = _signals(probes, ranked[ranked["variable"] == variable], populations, variable, layers, held)
    return Findings(verdict, variable, layers, units, signals, info.get("not_ablated", ""))


def _units(
    statuses: pd.DataFrame, tracked: pd.DataFrame, ablations: pd.DataFrame, variable: str, layers: bool
) -> tuple[UnitFact, ...]:
    by_unit = dict(list(tracked.groupby(UNIT, sort=False)))
    used = ablations[ablations["uses"].astype(bool)].sort_values("score_drop", ascending=False, kind="stable")
    costs: dict[Any, Any] = {key: tuple(zip(own["target"], own["score_drop"])) for key, own in used.groupby(UNIT)}
    facts = []
    key: Any
    for key, status in statuses["status"].items():
        rows = [_evidence(row) for row in by_unit[key].itertuples()] if key in by_unit else []
        first: dict[str, Evidence] = {}  # of each signal the best lag alone
        for row in rows:
            if row.variable == variable:
                first.setdefault(row.signal, row)
        own = list(first.values())
        elsewhere = next((row for row in rows if row.variable != variable), None)
        facts.append(
            UnitFact(
                key, unit_label(key, layers), status, own[0] if own else None, tuple(own[1:]), elsewhere,
                costs.get(key, ()),
            )
        )  # fmt: skip
    return tuple(facts)


def _codes(codes: pd.DataFrame) -> dict[str, str]:
    """Return each signal's code, in the layer whose units hold it best."""
    best = codes.sort_values("effect", ascending=False, kind="stable", na_position="last").drop_duplicates("signal")
    return dict(zip(best["signal"], best["code"]))


def _signals(
    probes: pd.DataFrame, own: pd.DataFrame, populations: pd.DataFrame, variable: str, layers: bool,
    codes: Mapping[str, str],
) -> tuple[SignalFact, ...]:  # fmt: skip
    facts = []
    together = populations[populations["variable"] == variable]
    together = together.sort_values("score", ascending=False, kind="stable").drop_duplicates("signal")
    together = together.set_index("signal")
    for signal in signal_order(probes):
        rows: pd.DataFrame = own[own["signal"] == signal].drop_duplicates(UNIT)
        first: Any = next(rows.dropna(subset="effect").itertuples(), None)
        about = probes[probes["signal"] == signal].iloc[0]
        tracking = rows[rows["tracks"].astype(bool)]
        labels = tuple(unit_label(key, layers) for key in tracking[UNIT].itertuples(index=False, name=None))
        score, enough = np.nan, None
        if signal in together.index:
            whole: Any = together.loc[signal]
            score = float(effect_of(np.array([whole["score"]]), [whole["metric"]])[0])
            enough = None if pd.isna(whole["n_units_90"]) else int(whole["n_units_90"])
        facts.append(
            SignalFact(
                signal, about["kind"], about["role"], None if first is None else _evidence(first),
                "" if first is None else unit_label((first.layer, first.direction, first.unit), layers),
                labels, score, enough, codes.get(signal, ""),
            )
        )  # fmt: skip
    return tuple(facts)
