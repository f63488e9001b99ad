"""Our methods: each asks a public function of this package, with its own thresholds.

Three of them answer in words, too: what is needed together, what can't be told apart, and what can't be tested.
"""

from functools import partial

import pandas as pd
from torch import nn

from lstm_probe.causal import ablation, patches, shares, sufficient
from lstm_probe.causal.following import ANY
from lstm_probe.causal.needs import NOT_MEASURED, SMALLEST, needs_once
from lstm_probe.causal.status import NOT_NEEDED, NOT_TESTABLE
from lstm_probe.causal.sufficient import NotLearnedError
from lstm_probe.core.order import unit_label
from lstm_probe.core.signal import Batch
from lstm_probe.probing import probe_units
from lstm_probe.probing.analyses.coding import signal_codes
from lstm_probe.probing.analyses.confounds import partial_effects
from lstm_probe.probing.analyses.curved import curved_units
from lstm_probe.probing.analyses.memory import memory_curves, memory_spans
from lstm_probe.recorder import Recording, record
from lstm_probe.truth.methods.method import Method, answers, asked

PERMUTATIONS, BOOTSTRAP = 399, 100
#: Samples of the bootstrap where its intervals are judged: by 100 they are 2 % too narrow.
INTERVALS = 1000


#: How many steps after a memory is taken from another sequence the outputs are looked at, and which share of what the
#: whole state changes of them counts.
AFTER, CHANGED = (0, 1, 5, 15), 0.1
#: What is said of signals, or of units, that can't be told from others.
NOT_APART = "not told apart"
#: A method says nothing where no target was learned.
NOTHING = pd.DataFrame(columns=["question", "unit", "name", "score"])


def _probed(model: nn.Module, batch: Batch) -> tuple[Recording, pd.DataFrame]:
    rec = record(model, batch.inputs, variables=["c"])
    table = probe_units(rec, asked(batch), groups=batch.groups, permutations=PERMUTATIONS, bootstrap=BOOTSTRAP)
    return rec, table


def _said(testable: pd.Series, found: pd.Series) -> list[bool | None]:
    """Return what is found, and None where nothing can be."""
    return [bool(own) if could else None for could, own in zip(testable, found)]


def tracks(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """Our probe of single units: which track which signal."""
    _, table = _probed(model, batch)
    words = table["tracks"].map({True: "tracks", False: ""}).where(table["testable"], NOT_TESTABLE)
    return answers("holds", table, "signal", "effect", _said(table["testable"], table["tracks"]), words)


def curved(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """The same by smooth curves of units."""
    rec, table = _probed(model, batch)
    table = curved_units(rec, asked(batch), probes=table, permutations=PERMUTATIONS)
    found = table["tracks"] | table["tracks_curved"]
    return answers("holds", table, "signal", "curved", _said(table["testable"], found))


def tracks_by_itself(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """The same, for units that tell of a signal what the input and all other signals do not.

    Of a signal that correlates too much with another one nothing is claimed.
    """
    rec, table = _probed(model, batch)
    alone = partial_effects(rec, asked(batch))
    alone = alone[["layer", "unit", "signal", "partial", "ci_low", "collinear_with"]]
    table = table.merge(alone, on=["layer", "unit", "signal"], suffixes=("", "_alone"))
    found = table["tracks"] & (table["ci_low_alone"] > 0)
    alike = table["tracks"] & (table["collinear_with"] != "")
    words = found.map({True: "tracks", False: ""}).mask(alike, NOT_APART).where(table["testable"], NOT_TESTABLE)
    return answers("holds", table, "signal", "partial", _said(table["testable"] & ~alike, found), words)


def memory(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """Our memory curves: which unit knows a signal at the lag at which it knows it best, if that is the present."""
    rec = record(model, batch.inputs, variables=["c"])
    curves = memory_curves(rec, asked(batch), lags=[0, 1, 2, 5], permutations=PERMUTATIONS)
    now = curves.loc[curves["lag"] == 0, ["layer", "unit", "signal", "effect"]]
    table = memory_spans(curves).merge(now, on=["layer", "unit", "signal"])
    return answers("holds", table, "signal", "effect", table["span"].notna() & (table["peak_lag"] == 0))


def codes(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """Our codes of signals: which one or two units hold each, by what they know of it alone.

    Of a distributed signal, and of one whose code can't be told, nothing is claimed or denied.
    """
    rec = record(model, batch.inputs, variables=["c"])
    table = signal_codes(rec, asked(batch))
    holders = {"localist": ["best"], "copies": ["best", "second"]}
    rows = []
    for row in table.to_dict("records"):
        known = {row[f"{which}_unit"]: row[f"{which}_effect"] for which in ("second", "best")}
        held = [row[f"{which}_unit"] for which in holders.get(row["code"], [])]
        certain = row["code"] in ("localist", "none", "undefined")
        for unit in range(row["units"]):
            verdict = True if unit in held else False if certain else None
            rows.append((row["layer"], unit, row["signal"], known.get(unit, 0.0), verdict, row["code"]))
    made = pd.DataFrame(rows, columns=["layer", "unit", "name", "score", "verdict", "word"])
    return answers("holds", made, "name", "score", made["verdict"], made["word"])


def clamp(model: nn.Module, batch: Batch, mode: str) -> pd.DataFrame:
    """Our table of ablations: what clamping each unit costs, and, by the mean, which are needed together."""
    mean = mode == "mean"
    table = ablation.ablate_units(model, batch, mode=mode, bootstrap=INTERVALS if mean else BOOTSTRAP, together=mean)
    made = answers("needed", table, "target", "refit_drop", _needed(table), table["needed"])
    if mean:
        made = made.assign(lost=table["score_drop"], ci_low=table["ci_low"], ci_high=table["ci_high"])
    return made


def _needed(table: pd.DataFrame) -> list[bool | None]:
    return [None if word == NOT_MEASURED else word != NOT_NEEDED for word in table["needed"]]


def needed_sets(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """The same by the mean; a unit that is needed together with others is given what clamping all of them costs."""
    with needs_once():
        table = ablation.ablate_units(model, batch, bootstrap=BOOTSTRAP)
        sets = ablation.needed_sets(model, batch, bootstrap=BOOTSTRAP)
    together = sets[sets["why"] == SMALLEST]
    places = list(zip(table["layer"], table["unit"]))
    several = len(set(table["layer"])) > 1
    at = {unit_label((layer, "forward", unit), several): (layer, unit) for layer, unit in places}
    shared = [(*at[unit], target, cost) for units, target, cost in
              together[["set", "target", "refit_drop"]].itertuples(index=False) for unit in units.split()]  # fmt: skip
    keys = ["layer", "unit", "target"]
    most = pd.DataFrame(shared, columns=[*keys, "of_set"]).groupby(keys).max().reset_index()
    table = table.merge(most, on=keys, how="left")
    table["cost"] = table[["refit_drop", "of_set"]].max(axis=1)
    return answers("needed", table, "target", "cost", _needed(table), table["needed"])


def unit_shares(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """Our Shapley shares of each target's score."""
    try:
        table = shares.unit_shares(model, batch, pairs=50)
    except NotLearnedError:
        return NOTHING
    return answers("needed", table, "target", "share", table["ci_low"] > 0)


def sufficient_units(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """Our smallest set of units that carries each target; of several such sets it is one."""
    try:
        table = sufficient.sufficient_units(model, batch, bootstrap=0)
    except NotLearnedError:
        return NOTHING
    table = table[table["target"] != "all"]
    return answers("needed", table, "target", "order", table["kept"])


def interchange(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """Ours: how much the outputs change, at once or later, when a unit's memory comes from another sequence."""
    table = patches.patch_units(model, batch, after=AFTER)
    strongest = table.groupby(["layer", "unit", "target"])["changed"].max().reset_index()
    return answers("carries", strongest, "target", "changed", strongest["changed"] >= CHANGED)


def interchange_of_signals(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """Ours: how far the outputs move when the donor differs in a signal, and not just as far when it does not."""
    varied = {name: one for name, one in asked(batch).items() if (one.values != one.values[:1, :1]).any()}
    table = patches.patch_units(model, batch, varied, after=AFTER)
    table = table[table["signal"] != ANY].copy()
    table["more"] = (table["moved"] - table["moved_same"].fillna(0)).abs().fillna(0)
    table["yes"] = table["reads"] == "yes"
    found = table.groupby(["layer", "unit", "signal"])[["more", "yes"]].max().reset_index()
    return answers("reads", found, "signal", "more", found["yes"])


OURS = {
    "tracks": Method(tracks, True, "Our probe of single units: which track which signal."),
    "tracks, curved": Method(curved, True, "Ours: which track it by a smooth curve."),
    "tracks by itself": Method(tracks_by_itself, True, "Our probe, without what input and other signals tell."),
    "memory": Method(memory, True, "Our memory curves: which unit knows a signal, and best of all now."),
    "codes": Method(codes, True, "Our codes: whether one unit holds a signal, or two do, each by itself."),
    "clamp, mean": Method(partial(clamp, mode="mean"), True, "Ours: what it costs to hold a unit at its mean."),
    "clamp, zero": Method(partial(clamp, mode="zero"), True, "Ours: what it costs to hold a unit at 0."),
    "clamp, resample": Method(partial(clamp, mode="resample"), True, "Ours: what another sequence's values cost."),
    "needed sets": Method(needed_sets, True, "Ours: the smallest sets that cost something when held at their means."),
    "sufficient set": Method(sufficient_units, True, "Ours: a smallest set of units that carries a target by itself."),
    "shares": Method(unit_shares, True, "Our Shapley shares of each target's score."),
    "interchange": Method(interchange, True, "Ours: how much a memory from another sequence changes."),
    "interchange of signals": Method(interchange_of_signals, True, "Ours: which signal outputs read from a unit."),
}
