"""Does the output follow what lies along a direction of the memories, such as that of a probe, of another sequence?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstm_probe.causal.following import Named
from lstm_probe.causal.patches import AFTER, MOVED, patch_table
from lstm_probe.causal.patching import Part, Patch, Patching, Rule
from lstm_probe.cells.known import cell_of
from lstm_probe.core.columns import RUN_COLUMNS, Columns, columns
from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.kinds import Kind, Role, Signal
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.probing.data.signals import CheckedSignal, check_signals
from lstm_probe.recorder import find_lstm, record
from lstm_probe.recorder.calling import arguments

COLUMNS: Columns = columns(
    *RUN_COLUMNS, "layer", "direction", axis="Name of the direction, or of the signal that it was fitted to.",
    n_axes="How many directions at right angles that are.",
    fitted="How many sequences it was fitted to, which are in no pair; 0: it was given.", **MOVED,
)  # fmt: skip
#: Penalties that the ridge fit of a direction chooses from, as shares of the number of steps.
PENALTIES = 10.0 ** np.arange(-6, 3)
#: Directions that are shorter than this share of the longest, once at right angles, are none.
RANK = 1e-6


@torch.no_grad()
def patch_directions(
    model: nn.Module, batch: Batch, directions: Mapping[str, Any] | None = None, *, signals: Signals = None,
    layer: str | None = None, steps: Sequence[int] | int | None = None, after: Sequence[int] = AFTER,
    donors: Any = None, rule: Rule | None = None, min_moved: float = 0.1, groups: Any = None, seed: int = 0,
    run: str = "", task: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Take what lies along a direction of a layer's memories c from another sequence; the rest is the receiver's.

    Args:
        model, batch: as for `patch_units`.
        directions: by name, a vector of (unit,) or several as (unit, direction), of any length, where there is one
            layer and direction; else {(layer, "forward"): vector}. None: for each signal but nuisances and each layer,
            the direction of a ridge regression of the signal on c (of classes, of their indicators) on half of the
            sequences (groups); pairs are of the other half.
        signals, layer, steps, after, donors, rule, min_moved, groups, seed, run, task: as for `patch_units`.

    Returns:
        One row for each direction, signal, target and number of steps after, columns `COLUMNS`. A direction at random
        moves about one part in `units`.

    Raises:
        InputError: as `patch_units`; or a direction of another length than the layer's units, or of zeros.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> along = lp.patch_directions(net.model, batch)
    >>> along.query("axis == 'count' and after == 1 and signal == 'any' and moved > 0.5").target.tolist()
    ['count']
    """
    codes = drawn_as_one(group_codes(batch.groups if groups is None else groups, len(batch)))
    fitted: dict[tuple[str, Part], Tensor] | None = None
    used = 0
    if directions is None:
        if donors is not None:
            raise InputError("donors: give directions, too: to fit them takes half of the sequences, donors or not")
        given = check_signals(batch.signals if signals is None else signals, batch.mask.cpu().numpy())
        batch = replace(batch, signals={one.name: _signal(one) for one in given})
        first, rest = _halves(len(batch), codes, seed)
        own = [one.rows(first.numpy()) for one in given if one.role != "nuisance"]
        used, fitted = len(first), _fitted(model, batch[first], own, layer)
        batch, groups, signals = batch[rest], None if codes is None else codes[rest.numpy()], None
    patching = Patching(model, batch, layer=layer, variable="c", after=after, donors=donors, groups=groups, seed=seed,
                        rule=rule)  # fmt: skip
    axes = _given(directions, patching) if directions is not None else fitted or {}
    patches: list[Named] = [
        ({"layer": part[0], "direction": part[1], "axis": name, "n_axes": basis.shape[1], "fitted": used},
         Patch.along(part, basis)) for (name, part), basis in axes.items()
    ]  # fmt: skip
    if not patches:
        raise InputError("directions: there are none; those of signals need one that varies, and units that do")
    return patch_table(patching, patches, signals, steps, min_moved, COLUMNS, {"run": run, "task": task, "seed": seed})


def _halves(n: int, groups: Int[np.ndarray, " sequence"] | None, seed: int) -> tuple[Tensor, Tensor]:
    """Return half of the sequences, by whole groups, and the other half."""
    codes = np.arange(n) if groups is None else groups
    order = np.random.default_rng(derive_seed(seed, "directions")).permutation(int(codes.max()) + 1)
    first = np.isin(codes, order[: len(order) // 2])
    if not first.any() or first.all():
        raise InputError("directions: one sequence (or group) cannot both fit a direction and test it; give directions")
    return torch.from_numpy(np.flatnonzero(first)), torch.from_numpy(np.flatnonzero(~first))


def _signal(one: CheckedSignal) -> Signal:
    """Return a checked signal as one of a batch, NaN where it is not labelled."""
    values = one.values if one.labelled is None else np.where(one.labelled, one.values, np.nan)
    kind, role = cast(Kind, one.kind), cast(Role, one.role)
    return Signal(one.name, torch.from_numpy(np.array(values)), kind, role)


def _fitted(
    model: nn.Module, batch: Batch, signals: Sequence[CheckedSignal], layer: str | None
) -> dict[tuple[str, Part], Tensor]:
    """Return each signal's directions in each layer, by ridge regression over all labelled steps."""
    from sklearn.linear_model import RidgeCV

    memory = cell_of(find_lstm(model, layer)[1]).memory
    rec = record(model, arguments(model, batch), layer=layer, variables=(memory,))
    real, found = batch.mask.cpu().numpy(), dict[tuple[str, Part], Tensor]()
    for one in signals:
        steps = one.among(real)
        y = one.columns()[steps]
        y = y[:, (y != y[:1]).any(0)]
        if not y.shape[-1]:
            continue
        for part, values in rec.parts.items():
            c = values[memory].cpu().double().numpy()[steps]
            spread, varies = c.std(0), (c != c[:1]).any(0)  # of what is the same the mean may be off by rounding
            if not varies.any():
                continue
            z = (c - c.mean(0))[:, varies] / spread[varies]
            weights = np.atleast_2d(RidgeCV(alphas=len(z) * PENALTIES).fit(z, y - y.mean(0)).coef_)
            whole = np.zeros((c.shape[1], len(weights)))
            whole[varies] = (weights / spread[varies]).T
            found[one.name, part] = _basis(one.name, torch.from_numpy(whole)).to(values[memory])
    return found


def _given(directions: Mapping[str, Any], patching: Patching) -> dict[tuple[str, Part], Tensor]:
    """Return directions as they were given, by name and part."""
    found, parts = dict[tuple[str, Part], Tensor](), list(patching.shape)
    for name, one in directions.items():
        if not isinstance(one, Mapping) and len(parts) > 1:
            raise InputError(f'directions[{name!r}]: say of which layer, as {{(0, "forward"): vector}}')
        for part, vector in one.items() if isinstance(one, Mapping) else ((parts[0], one),):
            axes = torch.as_tensor(vector).double()
            axes = axes.unsqueeze(-1) if axes.dim() == 1 else axes
            if part not in patching.shape or axes.dim() != 2 or len(axes) != patching.shape[part]:
                there = "; ".join(f"layer {k}, {way}: {n}" for (k, way), n in patching.shape.items())
                raise InputError(f"directions[{name!r}]: shape {tuple(axes.shape)} for {part}; units are {there}")
            found[name, part] = _basis(name, axes).to(patching.batch.inputs)
    return found


def _basis(name: str, axes: Float[Tensor, "unit axis"]) -> Float[Tensor, "unit axis"]:
    """Return directions of length 1 at right angles to each other that span the same."""
    left, sizes, _ = torch.linalg.svd(axes.double(), full_matrices=False)
    if not bool(torch.isfinite(sizes).all()) or not float(sizes.max()) > 0:
        raise InputError(f"directions[{name!r}]: of length 0, or not finite")
    basis: Tensor = left[:, sizes > RANK * sizes.max()]
    return basis
