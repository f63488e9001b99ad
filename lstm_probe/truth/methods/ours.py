"""Our methods."""

from functools import partial

import pandas as pd
from torch import nn

from lstm_probe.causal import ablation, patches, shares
from lstm_probe.causal.sufficient import NotLearnedError
from lstm_probe.core.signal import Batch
from lstm_probe.probing import probe_units
from lstm_probe.probing.analyses.confounds import partial_effects
from lstm_probe.recorder import record
from lstm_probe.truth.methods.method import Method, answers, asked

PERMUTATIONS, BOOTSTRAP = 399, 100


def tracks(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """Our probe of single units: which track which signal."""
    rec = record(model, batch.inputs, variables=["c"])
    table = probe_units(rec, asked(batch), permutations=PERMUTATIONS, bootstrap=BOOTSTRAP)
    verdict = [bool(found) if testable else None for found, testable in zip(table["tracks"], table["testable"])]
    return answers("holds", table, "signal", "effect", verdict)


def tracks_by_itself(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """The same, for units that tell of a signal what the input and all other signals do not."""
    rec = record(model, batch.inputs, variables=["c"])
    signals = asked(batch)
    table = probe_units(rec, signals, permutations=PERMUTATIONS, bootstrap=BOOTSTRAP)
    alone = partial_effects(rec, signals)
    table = table.merge(alone[["unit", "signal", "partial", "ci_low"]], on=["unit", "signal"], suffixes=("", "_alone"))
    verdict = (table["tracks"] & (table["ci_low_alone"] > 0)).astype(object)
    return answers("holds", table, "signal", "partial", verdict)


def clamp(model: nn.Module, batch: Batch, mode: str) -> pd.DataFrame:
    """Our table of ablations: what clamping each unit costs, and, by the mean, which are needed together."""
    table = ablation.ablate_units(model, batch, mode=mode, bootstrap=BOOTSTRAP, together=mode == "mean")
    verdict = [None if word == "not measured" else word != "no" for word in table["needed"]]
    return answers("needed", table, "target", "refit_drop", verdict)


def unit_shares(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """Our Shapley shares of each target's score."""
    try:
        table = shares.unit_shares(model, batch, pairs=50)
    except NotLearnedError:
        return pd.DataFrame(columns=["question", "unit", "name", "score"])
    return answers("needed", table, "target", "share", table["ci_low"] > 0)


def interchange(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """Ours: how far the outputs move when a unit's memory comes from another sequence."""
    table = patches.patch_units(model, batch)
    strongest = table.groupby(["unit", "target"])["moved"].max().reset_index()
    return answers("needed", strongest, "target", "moved", strongest["moved"] >= 0.1)


OURS = {
    "tracks": Method(tracks, True, "Our probe of single units: which track which signal."),
    "tracks by itself": Method(tracks_by_itself, True, "The same, without what input and other signals tell."),
    "clamp, mean": Method(partial(clamp, mode="mean"), True, "Ours: what it costs to hold units at their means."),
    "clamp, zero": Method(partial(clamp, mode="zero"), True, "Ours: what it costs to hold units at 0."),
    "clamp, resample": Method(partial(clamp, mode="resample"), True, "Ours: what another sequence's values cost."),
    "shares": Method(unit_shares, True, "Our Shapley shares of each target's score."),
    "interchange": Method(interchange, True, "Ours: how far outputs follow a memory from another sequence."),
}
