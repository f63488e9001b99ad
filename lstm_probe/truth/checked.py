"""What is asked of verdicts and intervals by running the network: do outputs follow, do intervals hold what is so?"""

import math
from typing import Any

import numpy as np
import pandas as pd
import torch

from lstm_probe.causal.patches import patch_sets
from lstm_probe.planted.loop import Loop
from lstm_probe.planted.truth import FREE
from lstm_probe.truth.cases import Case

#: Sequences by which a cost counts as known.
MANY = 1024
#: What an answer is about.
PAIR = ("layer", "unit", "name")


def interchanged(case: Case, answers: pd.DataFrame) -> float:
    """Return how often targets become those of another sequence when units with the verdict yes are taken from there.

    The mean over the targets that are asked for; a target for which no unit has that verdict counts as 0.

    Args:
        case: the network, and its sequences.
        answers: columns layer, unit, name (of the target) and verdict.
    """
    if "verdict" not in answers or answers["verdict"].isna().all():
        return math.nan
    shares = []
    for name, own in answers.groupby("name"):
        said = own["verdict"].map(lambda verdict: verdict is not None and verdict == True)  # noqa: E712
        units = list(own.loc[said, ["layer", "unit"]].itertuples(index=False, name=None))
        if not units:
            shares.append(0.0)
            continue
        table = patch_sets(case.net.model, case.batch, [units], after=(1,), rule=case.rule)
        (row,) = table[(table["target"] == name) & (table["signal"] == "any")].to_dict("records")
        shares.append(float(row["accuracy"]))
    return float(np.mean(shares))


def coverage(case: Case, answers: pd.DataFrame) -> dict[str, Any]:
    """Return how many intervals there are for costs that are not 0, and the share of them that hold what is so.

    Args:
        case: the network.
        answers: columns layer, unit, name (of the target), ci_low and ci_high.
    """
    if not {"ci_low", "ci_high"} <= set(answers):
        return {"intervals": 0, "covered": math.nan}
    told = answers[answers["ci_low"].notna() & answers["ci_high"].notna()]
    known = costs(case).set_index(list(PAIR))["cost"]
    true = known.reindex(pd.MultiIndex.from_frame(told[list(PAIR)])).to_numpy()
    there = np.abs(true) > FREE
    held = ((told["ci_low"] - FREE <= true) & (true <= told["ci_high"] + FREE)).to_numpy()[there]  # but for rounding
    return {"intervals": int(there.sum()), "covered": float(held.mean()) if len(held) else math.nan}


@torch.no_grad()
def costs(case: Case) -> pd.DataFrame:
    """Return what each target's score loses over many sequences when a unit is held at its mean.

    Columns layer, unit, name and cost.
    """
    batch = case.sample(MANY, case.seed + 1)
    loop, lstm = Loop(case.net.model, batch.inputs), case.net.model.lstm
    places = [(layer, unit) for layer in range(lstm.num_layers) for unit in range(lstm.hidden_size)]
    masks = torch.cat([torch.zeros(1, len(places)), torch.eye(len(places))]).bool()
    masks = masks.view(-1, 1, lstm.num_layers, 1, lstm.hidden_size)
    means = loop.memories.mean((0, 2), keepdim=True).expand(batch.inputs.shape[1], -1, -1, -1)
    intact, *lost = (batch.scores(loop.run(mask, held=means)[0]) for mask in masks)
    rows = [(*place, name, intact[name] - own[name]) for place, own in zip(places, lost) for name in own]
    return pd.DataFrame(rows, columns=[*PAIR, "cost"])
