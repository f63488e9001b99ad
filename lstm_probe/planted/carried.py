"""Which unit carries which signal: what was planted, beside what swaps of its states move."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from lstm_probe.core.signal import Batch
from lstm_probe.network.model import SequenceModel
from lstm_probe.planted.loop import Loop
from lstm_probe.planted.truth import COSTS, Truth

#: Of `Planted.carried`, with their types.
CARRIED_COLUMNS = {"layer": int, "unit": int, "signal": object, "share": float, "r2": float, "moves": object,
                   "label": object}  # fmt: skip
#: A squared correlation from which on c is the signal, by a factor; and one below which what was planted is spoilt.
EXACT, SPOILT = 0.9999, 0.5
#: Of units that stand between others: they keep nothing, but show what another one held.
BETWEEN = ("reader", "relay")


@torch.no_grad()
def carried(model: SequenceModel, batch: Batch, truth: Truth, held: pd.DataFrame, *, listening: bool) -> pd.DataFrame:
    """Return a row for each unit and signal; see `Planted.carried`.

    Args:
        model: any SequenceModel.
        batch: sequences of one length, with signals.
        truth: of that model.
        held: as `Planted.held`.
        listening: whether units that are not in it may hear those that are.
    """
    signals = {name: own.values.double().numpy() for name, own in batch.signals.items() if name != "step"}
    memories = Loop(model, batch.inputs).memories.permute(1, 3, 2, 0).double().numpy()
    places = list(zip(held["layer"], held["unit"]))
    roles = dict(zip(places, held["role"]))
    shares, kept = _shares(held, signals), set(held["signal"].dropna())
    told = dict(zip(places, held["hears"]))
    found = truth.labels
    needed = set(found[found["label"] != "unused"][["layer", "unit"]].itertuples(index=False, name=None))
    rows = []
    for place in truth.units:
        moves, role = truth.moves(place), roles.get(place, "other")
        for name, values in signals.items():
            share, steps = shares.get((*place, name), (0.0, slice(None)))
            r2 = _squared_correlation(memories[place][steps], values[steps])
            if role in BETWEEN and r2 >= EXACT:
                share = 1.0
            label = "none"
            if share:
                spoilt = share < COSTS or (share == 1 and r2 < SPOILT)
                unclear = spoilt or moves is None or (not moves and place in needed)
                label = "unclear" if unclear else "carries" if moves else "unread decoy"
            elif name in told.get(place, ()):
                label = "hears"
            elif role in BETWEEN and r2 >= COSTS:  # a part of what is made of what it hears
                label = "unclear"
            elif name in kept and role == "other" and listening:
                label = "echoes" if moves is False else "unclear"
            rows.append((*place, name, share, r2, moves, label))
    return pd.DataFrame(rows, columns=list(CARRIED_COLUMNS)).astype(CARRIED_COLUMNS)


def _shares(
    held: pd.DataFrame, signals: dict[str, Float[np.ndarray, "sequence step"]]
) -> dict[tuple[int, int, str], tuple[float, Any]]:
    """Return of each held signal the share of c's variance that it makes, and the steps at which it is held."""
    found: dict[tuple[int, int, str], tuple[float, Any]] = {}
    known = held[held["signal"].notna()]
    for layer, unit in dict.fromkeys(zip(known["layer"].tolist(), known["unit"].tolist())):
        own = known[(known["layer"] == layer) & (known["unit"] == unit)]
        always = own[own["when"].isna()]
        variances = [(factor * signals[name].std()) ** 2 for name, factor in zip(always["signal"], always["factor"])]
        for name, variance in zip(always["signal"], variances):
            share = float(variance / sum(variances)) if len(variances) > 1 and sum(variances) else 1.0
            found[layer, unit, name] = share, slice(None)
        turns = own[own["when"].notna()]
        for name, when, value in zip(turns["signal"], turns["when"], turns["value"]):
            found[layer, unit, name] = 1.0, signals[when] == value
    return found


def _squared_correlation(c: Float[np.ndarray, "*step"], values: Float[np.ndarray, "*step"]) -> float:
    if not c.size or min(c.std(), values.std()) < 1e-12:
        return 0.0
    return float(np.corrcoef(c.ravel(), values.ravel())[0, 1] ** 2)
