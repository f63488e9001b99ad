"""The states of a recurrent network in two principal components: paths of sequences, and fixed points among them."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from lstm_probe.core.columns import RUN_COLUMNS, columns
from lstm_probe.core.errors import InputError, NothingThereError
from lstm_probe.core.seeding import generator
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.fixed_points import points_of
from lstm_probe.dynamics.searching import setting_of

COLUMNS = columns(
    *RUN_COLUMNS,
    input="Number of the constant input of a fixed point; -1 for the paths, which have their sequence's own inputs.",
    kind="path; or of a fixed point: attractor, saddle or neutral.",
    number="Number of the sequence, or of the fixed point in `fixed_points`.",
    step="Step of the sequence; -1 for a fixed point.",
    x="First principal component of the state (h, c), from the mean over the data's real steps.",
    y="Second principal component; 0 where the state has only one number.",
    x_share="Share of the states' variance in the first component.",
    y_share="Share in the second.",
    signals="The signals' values that a fixed point stands for.",
)


@torch.no_grad()
def state_space(
    model: nn.Module, batch: Batch, *, inputs: Any = None, sequences: int = 8, layer: str | None = None, seed: int = 0,
    run: str = "", task: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Show where states move and where they stand still, in the two directions in which the data's states vary most.

    Args:
        model, batch: as for `fixed_points`.
        inputs: constant inputs of the fixed points, as for `fixed_points`.
        sequences: the first so many of the batch have their paths in the table.
        layer, seed, run, task: as for `fixed_points`.

    Returns:
        One row for each real step of these sequences, and one for each fixed point, columns `COLUMNS`.

    Raises:
        InputError: as `fixed_points`; or no state that differs from the others.
    """
    if not isinstance(sequences, int) or sequences < 0:
        raise InputError(f"sequences={sequences}: must be a whole number from 0.")
    own = setting_of(model, batch, layer, generator(seed, "state space"), 0)
    points = points_of(model, batch, inputs=inputs, layer=layer, seed=seed, run=run, task=task)
    assert own.states is not None
    every = own.states.values[own.states.real].numpy()
    middle = every.mean(0)
    _, sizes, axes = np.linalg.svd(every - middle, full_matrices=False)
    if not sizes.any():
        raise NothingThereError("state space: every state is the same")
    axes = axes[:2] * np.sign(axes[:2].sum(1, keepdims=True) + 1e-300)  # a sign of its own has no axis
    shares = [float(one) for one in [*(sizes**2 / (sizes**2).sum()), 0.0][:2]]

    def seen(states: np.ndarray) -> np.ndarray:
        flat = (states - middle) @ axes.T
        return flat if flat.shape[1] == 2 else np.pad(flat, ((0, 0), (0, 1)))

    about = {"run": run, "task": task, "units": own.step.units, "seed": seed, "signals": ""}
    rows = []
    for k in range(min(sequences, len(own.states.values))):
        steps = own.states.real[k].nonzero().flatten()
        for step, (x, y) in zip(steps.tolist(), seen(own.states.values[k, steps].numpy())):
            rows.append({**about, "input": -1, "kind": "path", "number": k, "step": step, "x": x, "y": y})
    at = seen(np.array([[*h, *c] for h, c in zip(points["h"], points["c"])]).reshape(len(points), own.step.size))
    for (_, point), (x, y) in zip(points.iterrows(), at):
        what = {"input": point["input"], "kind": point["kind"], "number": point["point"], "step": -1}
        rows.append({**about, **what, "x": x, "y": y, "signals": point["signals"]})
    return pd.DataFrame(rows, columns=list(COLUMNS)).assign(x_share=shares[0], y_share=shares[1])
