"""Where a network's state stands still under a constant input: fixed points of (h, c), and what they stand for.

Sussillo & Barak 2013 looked at trained networks so; here for any recurrent layer in any module. States of the
data, and what they settle at, are where Levenberg-Marquardt searches begin, and then the middle of every two points
found, until no more are found: a saddle lies between two attractors. No point is left out for being far from the data.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstm_probe.core.columns import RUN_COLUMNS, columns
from lstm_probe.core.errors import InputError
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.seeding import generator
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.meaning import LOOKED_AT, Told, codes_kept, outputs_at, signals_told
from lstm_probe.dynamics.searching import Setting, constant_inputs, index_sum, reads_inputs, search, setting_of
from lstm_probe.dynamics.settling import Fates, Runner, fates
from lstm_probe.dynamics.solving import NEUTRAL, Points
from lstm_probe.recorder.calling import outputs_of
from lstm_probe.recorder.leaving import undisturbed

log = logging.getLogger(__name__)

#: The defaults of `fixed_points`.
DEFAULTS = (1024, 1000, 2000, 1000)
#: What is added to starts, in standard deviations.
NOISE = 0.1
#: A point is far from the data if the nearest state is further away than this, in standard deviations.
FAR = 1.0
MOST_CODES = 256

_shared: ContextVar[dict[Any, tuple[Any, pd.DataFrame]] | None] = ContextVar("found fixed points", default=None)


@contextmanager
def found_once() -> Iterator[None]:
    """Within this context, fixed points that were found at their defaults are kept for what else is made of them."""
    token = _shared.set({})
    try:
        yield
    finally:
        _shared.reset(token)


def points_of(
    model: nn.Module, batch: Batch, *, inputs: Any, layer: str | None, seed: int, run: str, task: str
) -> pd.DataFrame:
    """Return `fixed_points` at its defaults, those that were found before where there are any."""
    kept = _shared.get()
    key = (id(model), id(batch), repr(inputs), layer, seed)
    if kept is None or key not in kept:
        return fixed_points(model, batch, inputs=inputs, layer=layer, seed=seed, run=run, task=task)
    return kept[key][1]


COLUMNS = columns(
    *RUN_COLUMNS,
    input="Number of the constant input, counted from 0; `attrs['inputs']` has them.",
    point="Number of the point under this input: where states may end first, those first where most end.",
    kind="attractor (every direction shrinks), saddle (some grow), or neutral (none grows, some neither grow nor "
    "shrink: a point of a line or surface of fixed points).",
    h="h of all layers there, the lowest layer first.",
    c="c of all layers there, or what else is carried beside h, in the cell's order; empty where h is all.",
    residual="|F(s) − s|, the Euclidean distance that the point moves in a step.",
    stable="Whether it attracts: all eigenvalues of the Jacobian are below 1 in absolute value.",
    n_unstable="How many eigenvalues are above 1 in absolute value: directions in which it repels.",
    eigenvalue="Largest absolute value of an eigenvalue.",
    time_constant="Slowest time constant in steps, −1 / log of that; inf where it is 1, missing where it is above.",
    share="Share of the settled states that end there.",
    outputs="What the network puts out there; empty where that cannot be told.",
    signals="The signals' values that it stands for, such as bit0=1 bit1=0; empty where there are none.",
    agreement="Of the states that end there, the share that had these classes when it was left to itself.",
    distance="Distance to the nearest state of the data, in standard deviations (root mean square over its numbers).",
    far=f"Whether that is above {FAR:g}.",
)  # fmt: skip


@torch.no_grad()
def fixed_points(
    model: nn.Module, batch: Batch | None = None, *, inputs: Any = None, starts: int = 1024, settle: int = 1000,
    states: int = 2000, steps: int = 1000, layer: str | None = None, seed: int = 0, run: str = "", task: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Find every state at which a recurrent network stands still under a constant input: of an LSTM (h, c).

    Args:
        model: a recurrent layer of one direction (`nn.LSTM`, `nn.GRU`, `nn.RNN`, their cells, a `GatedRNN`), or any
            module that holds one; it is not changed. The state is that of all its layers together.
        batch: sequences, from whose states searches begin; where this is None, states are drawn at random.
        inputs: what the recurrent layer itself receives at every step, (feature), or several as (input, feature); 0
            where this is None, which behind an embedding or another layer no input to the model may be.
        starts: how many states to search from: those at which they come to rest, and, until 384 in a row have brought
            nothing new, as they are with a little noise, and as they have settled where they have not come to rest.
        settle: how many steps they are given for that; some of those that are not at rest then get ten times as many.
        states: how many other states are let run to see where they end.
        steps: for how many steps.
        layer: the name of the recurrent layer in the model, where there are several.
        seed: of what is drawn.
        run, task: put into the columns of the same name.

    Returns:
        One row for each point, columns `COLUMNS`; where a network has lines of fixed points, of these only the points
        at which states end. `attrs["inputs"]` says of each input, beside the input itself: how many `states` ran, for
        how many `steps`; `ended`, the share of them at a point of the table; `attractors`, the share at an attractor;
        at rest `elsewhere`; in `cycles`, of which `periods`; what `grows` and what `drifts` on; `index`, the sum of the
        points' fixed-point indices, which is 1 where all were found and none is neutral (missing where the state may
        grow without bound); `left_out`, how many neutral points were; and `codes`, for each combination of the targets'
        classes, the share of states that have it and stand for it still after the last step.

    Raises:
        InputError: no recurrent layer or several, one of two directions, inputs of another width, numbers out of range.

    >>> import torch
    >>> import lstm_probe as lp
    >>> rnn = torch.nn.RNN(1, 1, bias=False)
    >>> rnn.weight_hh_l0 = torch.nn.Parameter(torch.tensor([[2.0]]))  # h = tanh(2 h): ±0.96 attract, 0 lies between
    >>> lp.fixed_points(rnn, starts=32, states=50).kind.tolist()
    ['attractor', 'attractor', 'saddle']
    """
    _check(starts=(starts, 1), settle=(settle, 0), states=(states, 0), steps=(steps, 1))
    rng = generator(seed, "fixed points")
    own = setting_of(model, batch, layer, rng, starts + states)
    given = constant_inputs(inputs, own.step.features)
    first = own.some[:starts]
    noisy = first + NOISE * own.spread * torch.randn(first.shape, generator=rng, dtype=torch.float64)
    others = own.some[starts : starts + states] if len(own.some) >= starts + states else own.some[:states]
    places = own.places[starts : starts + states] if len(own.some) >= starts + states else own.places[:states]
    runner = Runner(own.module, own.step)
    same = reads_inputs(own)
    told, rows = [], []
    for k, x in enumerate(given):
        points = search(runner, first, noisy, x, settle, rng)
        ran = fates(runner, others, x, steps, points)
        index = index_sum(own.step, points, x)
        points, ends, left_out = _sorted(points, ran.ends)
        meant = _meant(own, points, x if same else None, places, ends, ran.last)
        rows += _rows(own, points, ends, meant, places, {"run": run, "task": task, "seed": seed, "input": k})
        told.append({
            "input": x.tolist(), "states": len(others), "steps": steps, "drawn": batch is None, "own_inputs": same,
            **_shares(ran, ends, points), "index": math.nan if index is None else index, "left_out": left_out,
            "codes": codes_kept(meant[1], places, MOST_CODES),
        })  # fmt: skip
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.attrs["inputs"] = told
    if (kept := _shared.get()) is not None and (starts, settle, states, steps) == DEFAULTS:
        kept[id(model), id(batch), repr(inputs), layer, seed] = ((model, batch), table)
    return table


def _check(**given: tuple[Any, int]) -> None:
    problems = [f"{name}={value}: must be a whole number from {least}." for name, (value, least) in given.items()
                if not isinstance(value, int) or isinstance(value, bool) or value < least]  # fmt: skip
    if problems:
        raise InputError(*problems)


def _sorted(points: Points, ends: Int[Tensor, " check"]) -> tuple[Points, Int[np.ndarray, " check"], int]:
    """Return points in the table's order, where states end by their new numbers, and how many points were left out."""
    counts = torch.bincount(ends[ends >= 0], minlength=len(points.states))
    isolated = ((points.sizes - 1).abs() > NEUTRAL).all(1)
    kept = (isolated | (counts > 0)).nonzero().flatten()
    order = sorted(kept.tolist(), key=lambda k: (int(points.unstable[k]), -int(counts[k])))
    new = np.full(len(points.states) + 1, -1)
    new[order] = np.arange(len(order))
    return points[torch.tensor(order, dtype=torch.long)], new[ends.numpy()], len(points.states) - len(order)


def _shares(ran: Fates, ends: Int[np.ndarray, " check"], points: Points) -> dict[str, Any]:
    """Return which share of states did what."""
    n = max(1, len(ends))
    stable = points.stable.numpy()
    periods = ran.period[ran.period > 0].unique().tolist()
    return {
        "ended": float((ends >= 0).sum() / n), "attractors": float(sum(stable[ends[ends >= 0]]) / n),
        "elsewhere": float(ran.elsewhere.sum() / n), "cycles": float((ran.period > 0).sum() / n), "periods": periods,
        "grows": float(ran.grows.sum() / n), "drifts": float(ran.drifts.sum() / n),
    }  # fmt: skip


def _meant(
    own: Setting, points: Points, x: Float[Tensor, " feature"] | None, places: Int[Tensor, "check two"],
    ends: Int[np.ndarray, " check"], last: Float[Tensor, "check size"],
) -> tuple[Float[Tensor, "point output"] | None, Sequence[Told]]:  # fmt: skip
    """Return the outputs at points, and the signals that they and the last states stand for."""
    if own.batch is None or own.states is None:
        return None, []
    n, going = len(points.states), torch.from_numpy(ends < 0)
    both = outputs_at(own.model, own.batch, own.module, own.step, torch.cat([points.states, last[going]]), x)
    at = None if both is None else both[:n]
    if both is not None:
        where = torch.from_numpy(ends.copy())
        where[going] = n + torch.arange(int(going.sum()))
        both = both[torch.cat([torch.arange(n), where])]
    if not own.states.aligned:
        return at, []
    steps, outputs = own.places[:LOOKED_AT], None
    if at is not None:
        with undisturbed(own.model):
            made = outputs_of(own.model, own.batch)
        outputs = made[steps[:, 0], steps[:, 1]].double().cpu() if made.dim() == 3 else None
    signals, n = list(own.batch.signals.values()), len(own.batch)
    codes = drawn_as_one(group_codes(own.batch.groups, n))
    groups = np.arange(n) if codes is None else codes
    return at, signals_told(signals, outputs, steps, both, places, ends, len(points.states), groups)


def _rows(
    own: Setting, points: Points, ends: Int[np.ndarray, " check"],
    meant: tuple[Float[Tensor, "point output"] | None, Sequence[Told]], places: Int[Tensor, "check two"],
    about: Mapping[str, Any],
) -> list[dict[str, Any]]:  # fmt: skip
    at, told = meant
    split = own.step.shown[-1].stop
    distance = _distances(own, points.states)
    classes = [one for one in told if one.is_class]
    truth = [one.signal.values.double().cpu()[places[:, 0], places[:, 1]].numpy() for one in classes]
    known = np.isfinite(truth).all(0) if truth else np.zeros(len(ends), dtype=bool)
    rows = []
    for k, (state, residual, sizes) in enumerate(zip(points.states, points.residual.tolist(), points.sizes.tolist())):
        came, told_of = ends == k, (ends == k) & known
        right = [values[told_of] == one.values[k] for one, values in zip(classes, truth)]
        agrees = float(np.all(right, axis=0).mean()) if told_of.any() else math.nan
        rests, stable = bool(points.rests[k]), bool(points.stable[k])
        tau = math.inf if not stable else -1 / math.log(sizes[0]) if sizes[0] > 0 else 0.0
        rows.append({
            **about, "units": own.step.units, "point": k,
            "kind": "attractor" if stable else "neutral" if rests else "saddle",
            "h": state[:split].tolist(), "c": state[split:].tolist(), "residual": residual, "stable": stable,
            "n_unstable": int(points.unstable[k]), "eigenvalue": sizes[0], "time_constant": tau if rests else math.nan,
            "share": float(came.mean()) if len(ends) else math.nan, "outputs": [] if at is None else at[k].tolist(),
            "signals": " ".join(filter(None, (one.named(k) for one in told))) if rests else "",
            "agreement": agrees, "distance": distance[k], "far": distance[k] > FAR,
        })  # fmt: skip
    return rows


def _distances(own: Setting, states: Float[Tensor, "point size"]) -> list[float]:
    """Return how far each state is from the nearest of the data, in standard deviations."""
    if own.states is None or not len(states):
        return [math.nan] * len(states)
    width = own.spread.clamp(min=1e-3 * float(own.spread.max().clamp(min=1e-30)))
    nearest = torch.cdist(states / width, own.some / width).amin(1) / own.step.size**0.5
    return [float(one) for one in nearest]
