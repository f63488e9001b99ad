"""From a run's tables to facts: what was learned, what each unit remembers, and whether the network needs it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lstm_probe.causal.status import (
    CURVE,
    EARLIER,
    HARDLY_LEARNED,
    NOW,
    TOGETHER,
    UNKNOWN,
    found_rows,
    hardly_learned,
    unit_statuses,
)  # fmt: skip
from lstm_probe.cells.declared import Cell
from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.joined import parted
from lstm_probe.core.numbers import known, number
from lstm_probe.core.order import UNIT, several_layers, signal_order, unit_label
from lstm_probe.core.scale import effect_of
from lstm_probe.findings.codes import code_sentence
from lstm_probe.findings.evidence import Evidence, Findings, SignalFact, UnitFact, Verdict
from lstm_probe.findings.needs import Needs, needed_alone_for, needs_of, unit_costs
from lstm_probe.probing.inference.decision import Rule
from lstm_probe.probing.inference.testable import UNMOVED


def _evidence(row: Any) -> Evidence:
    added = ("untrained_best", "input_window", "past_swap", "depth", "p_family", "p_untrained", "q_value")
    values: dict[str, Any] = {name: float(getattr(row, name, np.nan)) for name in added}
    how = getattr(row, "how", NOW)
    values |= {"straight": row.straight} if how == CURVE else {}
    values |= {"itself": row.signal_itself} if how == EARLIER else {}
    low, high = (getattr(row, name, np.nan) if how == NOW else np.nan for name in ("ci_low", "ci_high"))
    untrained = row.untrained
    if how == CURVE:  # what untrained units tell along a straight line is no measure of curves
        untrained, values["untrained_best"] = np.nan, np.nan
    return Evidence(
        row.signal, row.variable, int(row.lag), row.metric, row.effect, low, high, untrained, row.input_only,
        row.time_only, how, kind=row.kind, **values,
    )  # fmt: skip


def find(
    info: Mapping[str, Any],
    probes: pd.DataFrame,
    populations: pd.DataFrame,
    ablations: pd.DataFrame,
    cell: Cell = LSTM,
    codes: pd.DataFrame | None = None,
    memory: pd.DataFrame | None = None,
    confounds: pd.DataFrame | None = None,
    sets: pd.DataFrame | None = None,
    sufficient: pd.DataFrame | None = None,
    used: pd.DataFrame | None = None,
) -> Findings:
    """Return what a run's tables say.

    A unit's status is that of its memory, of an LSTM "c": gates are functions of what all units show, so a
    gate that predicts a signal says little of what its own unit remembers. The others: `UnitFact.elsewhere`.

    Args:
        info: a run's `run.json`: its keys scores, learned, solved, projection, not_scored and not_ablated.
        probes: columns `PROBE_COLUMNS`.
        populations: columns `POPULATION_COLUMNS`.
        ablations: columns `ABLATION_COLUMNS`.
        cell: what the units are. Where its memory was not probed, the first variable that was is looked at.
        codes: columns `SIGNAL_CODE_COLUMNS`, if there are any.
        memory: columns `MEMORY_COLUMNS`, if there are any.
        confounds: columns `CONFOUND_COLUMNS`, if there are any.
        sets: columns `SET_COLUMNS`, if there are any.
        sufficient: columns `SUFFICIENT_COLUMNS`, if there is any.
        used: the table of that name, if there is any.
    """
    if info.get("projection") and (probes["variable"] != "h").any():
        probes = probes[probes["variable"] != "h"]  # h then is of the layer's outputs, and of no unit
    statuses = unit_statuses(probes, ablations, cell.memory, memory)
    variable = statuses.attrs["variable"]
    layers = several_layers(list(statuses.index))
    own = probes[probes["variable"] == variable]
    found = found_rows(own, None if memory is None else memory[memory["variable"] == variable])
    partial = _partials(confounds, variable)
    nothing: dict[str, Any] = {}
    rows = [(key, _evidence(row)) for key, row in zip(found[UNIT].itertuples(index=False, name=None),
                                                      found.itertuples())]  # fmt: skip
    held = [(key, replace(one, **(partial.get((*key, one.signal, one.lag), nothing) if one.how == NOW else nothing)))
            for key, one in rows]  # fmt: skip
    gates = found_rows(probes[probes["variable"] != variable])
    verdict = Verdict(info["solved"], dict(info["scores"]), dict(info["learned"]), info.get("not_scored", ""))
    learned = [target for target, ok in verdict.learned.items() if ok]
    needs = needs_of(ablations, sets, sufficient, layers=layers, learned=learned, used=used)
    units = _units(statuses, held, gates, ablations, needs, layers)
    told = {} if codes is None else _codes(codes[codes["variable"] == variable])
    ranked = own.sort_values("effect", ascending=False, kind="stable", na_position="last")
    signals = _signals(probes, ranked, held, units, populations[populations["variable"] == variable], layers, told)
    origins = tuple(probes.attrs.get("origins", ()))
    deep = bool(probes.attrs.get("deep", True))
    unknown = _need_unknown(info, statuses, ablations)
    return Findings(verdict, variable, layers, units, signals, unknown, needs, origins, deep, cell)


#: Said of runs in which units were clamped alone and as they stand.
EARLIER_VERSION = (
    "was measured by an earlier version, which clamped units alone and as they stand; `ablate run=DIR` measures it "
    "again"
)


#: Said where nothing tells a cost from what other sequences would give.
NO_INTERVALS = "could not be told: what clamping costs has no interval, of one sequence alone or without resamples"

#: Said where no target's score is above chance by more than next to nothing.
NOTHING_LEARNED = "cannot be said: next to nothing was learned of any target, so there is nothing to need"


def _need_unknown(info: Mapping[str, Any], statuses: pd.DataFrame, ablations: pd.DataFrame) -> str:
    """Return why nothing is known of need; empty where something is."""
    if (statuses["needed"] != UNKNOWN).any():
        return ""
    if "refit_drop" in ablations and ablations["refit_drop"].notna().any():
        return NOTHING_LEARNED if hardly_learned(ablations).all() else NO_INTERVALS
    return EARLIER_VERSION if len(ablations) else f"was not measured: {info.get('not_ablated') or 'it was left out'}"


def _partials(confounds: pd.DataFrame | None, variable: str) -> dict[Any, dict[str, Any]]:
    """Return what each unit adds to the other signals, by unit, signal and lag."""
    if confounds is None or confounds.empty:
        return {}
    own = confounds[confounds["variable"] == variable]
    keys = own[[*UNIT, "signal", "lag"]].itertuples(index=False, name=None)
    kinds = dict(zip(own["signal"], own["kind"]))
    ends = zip(own["partial"].astype(float), own["ci_low"].astype(float), own["ci_high"].astype(float))
    return {key: {"partial": p, "partial_low": low, "partial_high": high, "settled": not known(p),
                  "same": {name: kinds.get(name, "") for name in parted(same)}}
            for key, (p, low, high), same in zip(keys, ends, own["collinear_with"])}  # fmt: skip


def _units(
    statuses: pd.DataFrame, held: Sequence[tuple[Any, Evidence]], gates: pd.DataFrame, ablations: pd.DataFrame,
    needs: Needs, layers: bool,
) -> tuple[UnitFact, ...]:  # fmt: skip
    clamped = unit_costs(ablations)
    first = gates.drop_duplicates(UNIT)
    keys = first[UNIT].itertuples(index=False, name=None)
    other: dict[Any, Any] = {key: _evidence(row) for key, row in zip(keys, first.itertuples())}
    facts = []
    key: Any
    for key, about in statuses.iterrows():
        own = [one for unit, one in held if unit == key]
        best, rest = (own[0], own[1:]) if own else (None, [])
        # Beside a signal's present value, its earlier ones and its curves say nothing new.
        rest = [one for k, one in enumerate(rest) if one.signal not in {o.signal for o in (best, *rest[:k]) if o}]
        others: list[Evidence] = []
        along: list[Evidence] = []
        for one in rest:
            new = one.adds and not {o.signal for o in (best, *others) if o} & {*one.same}
            (others if new else along).append(one)
        label = unit_label(key, layers)
        costs, off_data = clamped.get(key, ((), False))
        alone = needed_alone_for(costs)
        less = tuple(one for one in costs if one not in alone and one.intact >= HARDLY_LEARNED)
        facts.append(
            UnitFact(
                key, label, about["status"], best, tuple(others), tuple(along), other.get(key), about["found"],
                about["needed"], alone, less,
                tuple(one.target for one in costs if one.needed == TOGETHER),
                tuple(joint for joint in needs.together if label in joint.labels), off_data,
            )
        )  # fmt: skip
    return tuple(facts)


def _reason(reason: str) -> str:
    return "exchanging sequences does not change it" if reason == UNMOVED else reason


def _codes(codes: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Return each signal's code and the sentence on it, in the layer whose units hold it best."""
    best = codes.sort_values("effect", ascending=False, kind="stable", na_position="last").drop_duplicates("signal")
    return {
        row["signal"]: (row["code"], code_sentence(row, int(row["units"])) if known(row["varying"]) else "")
        for _, row in best.iterrows()  # codes of an earlier version have too little for a sentence
    }


def _signals(
    probes: pd.DataFrame, ranked: pd.DataFrame, held: Sequence[tuple[Any, Evidence]], units: Sequence[UnitFact],
    populations: pd.DataFrame, layers: bool, codes: Mapping[str, tuple[str, str]],
) -> tuple[SignalFact, ...]:  # fmt: skip
    facts = []
    together = populations.sort_values("score", ascending=False, kind="stable").drop_duplicates("signal")
    together = together.set_index("signal")
    reasons, rule = probes.attrs.get("not_testable", {}), Rule(**probes.attrs.get("rule", {}))
    going = {(unit.label, one.signal): unit.best.named for unit in units if unit.best for one in unit.along}
    for signal in signal_order(probes):
        rows: pd.DataFrame = ranked[ranked["signal"] == signal].drop_duplicates(UNIT)
        first: Any = next(rows.dropna(subset="effect").itertuples(), None)
        about = probes[probes["signal"] == signal].iloc[0]
        own = [(unit_label(key, layers), one) for key, one in held if one.signal == signal]
        now = sorted((one for one in own if one[1].how == NOW), key=lambda one: -one[1].effect)
        tracking = [one for one in now if (one[0], signal) not in going]
        by = tuple(label for label, _ in tracking)
        beside = tuple((label, one.effect, going[label, signal]) for label, one in now if (label, signal) in going)
        here = {label for label, _ in now}
        other = tuple(sorted((one for one in own if one[0] not in here), key=lambda one: -one[1].effect))
        score, untrained, enough = np.nan, np.nan, None
        if signal in together.index:
            whole: Any = together.loc[signal]
            score = float(effect_of(np.array([whole["score"]]), [whole["metric"]])[0])
            untrained = float(whole.get("untrained", np.nan))
            enough = None if pd.isna(whole["n_units_90"]) else int(whole["n_units_90"])
        best = None if first is None else _evidence(first)
        unit = "" if first is None else unit_label((first.layer, first.direction, first.unit), layers)
        alike: tuple[str, ...] = ()
        if tracking:
            unit, best = tracking[0]
            alike = tuple(label for label, one in tracking[1:] if number(one.effect) == number(best.effect))
        here_best = {unit.label: {one.signal for one in (unit.best, *unit.others) if one} for unit in units}
        twins = {name: kind for label, one in now if (label, signal) in going
                 for name, kind in one.same.items() if name in here_best[label]}  # fmt: skip
        facts.append(
            SignalFact(
                signal, about["kind"], about["role"], best, unit, by, other, beside, score, enough,
                *codes.get(signal, ("", "")), bool(about.get("testable", True)), _reason(reasons.get(signal, "")),
                alike, {name: twins[name] for name in signal_order(probes) if name in twins}, rule, untrained,
            )
        )  # fmt: skip
    return tuple(facts)
