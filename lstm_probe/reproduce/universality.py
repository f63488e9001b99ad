"""Universality: networks of any seed, size and kind that solve a task have the same fixed points, elsewhere."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from scipy.spatial.distance import pdist

from lstm_probe.core.seeding import derive_seed
from lstm_probe.dynamics.fixed_points import fixed_points
from lstm_probe.reproduce.networks import trained

TEST = 500  # sequences
#: By name in the measures: networks of so many units.
SIZES = (16, 32)
#: Of a cube: how many fixed points there are that repel in no direction (corners), in one (edges), two (faces), three.
CUBE = {0: 8, 1: 12, 2: 6, 3: 1}


@torch.no_grad()
def universality(seed: int) -> Mapping[str, float]:
    """Fixed points of networks of several sizes and of a tanh network that hold three bits: which, and where."""
    nets = {str(units): trained("universality", seed, units=units) for units in SIZES}
    nets["tanh"] = trained("universality", seed, units=SIZES[0], cell="rnn")
    values: dict[str, float] = {}
    corners = {}
    for name, net in nets.items():
        table = fixed_points(net.model, net.task.sample(TEST, derive_seed(seed, "reproduce")))
        corners[name] = table[table["stable"]].sort_values("signals")
        values[f"codes_{name}"] = corners[name]["signals"].nunique() if len(corners[name]) == CUBE[0] else 0
        values[f"cube_{name}"] = table["n_unstable"].value_counts().to_dict() == CUBE
        values[f"ended_{name}"] = table.attrs["inputs"][0]["attractors"]
    first, second = (corners[str(units)] for units in SIZES)
    return values | {"distances": _distances_alike(first, second)}


def _distances_alike(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Return the correlation of the distances between attractors in two networks; NaN where these are not the same."""
    if one["signals"].tolist() != other["signals"].tolist():
        return math.nan
    first, second = (pdist(np.array([[*h, *c] for h, c in zip(own["h"], own["c"])])) for own in (one, other))
    return float(np.corrcoef(first, second)[0, 1])
