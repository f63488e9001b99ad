"""Where a network's state stands still under a constant input: fixed points of (h, c), and what they stand for.

Sussillo & Barak 2013 looked at trained networks so; here for any `nn.LSTM` and `nn.RNN` in any module. States of the
data, and what they settle at, are where Levenberg-Marquardt searches begin, and then the middle of every two points
found, until no more are found: a saddle lies between two attractors. No point is left out for being far from the data.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstm_probe.core.columns import RUN_COLUMNS, columns
from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import generator
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.meaning import LOOKED_AT, Told, codes_kept, outputs_at, signals_told
from lstm_probe.dynamics.settling import Fates, Runner, fates
from lstm_probe.dynamics.solving import NEUTRAL, Points, apart, find_points, merged
from lstm_probe.dynamics.states import States, find_recurrent, states_of
from lstm_probe.dynamics.step_map import Recurrent, StepMap
from lstm_probe.recorder.calling import outputs_of
from lstm_probe.recorder.leaving import undisturbed

log = logging.getLogger(__name__)

#: Rounds of searching between points, and pairs of a round; what is added to starts, in standard deviations.
ROUNDS, PAIRS, NOISE = 6, 1024, 0.1
#: Settled states so close to each other begin one search. Others begin in blocks, until so many in a row bring no more.
SETTLED, BLOCK, PATIENCE = 1e-6, 128, 3
#: A point is far from the data if the nearest state is further away than this, in standard deviations.
FAR = 1.0
#: The least that distances are relative to, however little the states of the data differ.
LEAST_UNIT = 1e-3
MOST_CODES = 256

COLUMNS = columns(
    *RUN_COLUMNS,
    input="Number of the constant input, counted from 0; `attrs['inputs']` has them.",
    point="Number of the point under this input: where states may end first, those first where most end.",
    kind="attractor (every direction shrinks), saddle (some grow), or neutral (none grows, some neither grow nor shrink: "
    "a point of a line or surface of fixed points).",
    h="h of all layers there, the lowest layer first.",
    c="c of all layers there; empty for a network without.",
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


@dataclass(frozen=True)
class Setting:
    """What is searched in: a network, its map, and states to begin with."""

    model: nn.Module
    module: Recurrent
    step: StepMap
    batch: Batch | None
    states: States | None
    places: Int[Tensor, "state two"]
    some: Float[Tensor, "state size"]
    spread: Float[Tensor, " size"]


def setting_of(model: nn.Module, batch: Batch | None, layer: str | None, rng: torch.Generator, most: int) -> Setting:
    """Return a network with states in random order: of a batch, or drawn where there is none."""
    name, module = find_recurrent(model, layer)
    step = StepMap(module)
    if batch is None:
        drawn = 2 * torch.randn(most, step.size, generator=rng, dtype=torch.float64)
        for place in step.shown:
            drawn[:, place] = drawn[:, place].abs() if step.relu else drawn[:, place].tanh()
        return Setting(model, module, step, None, None, torch.zeros(0, 2, dtype=torch.long), drawn, drawn.std(0))
    states = states_of(model, name, module, step, batch)
    places = states.real.nonzero()
    places = places[torch.randperm(len(places), generator=rng)]
    every = states.values[states.real]
    spread = every.std(0) if len(every) > 1 else torch.zeros(step.size, dtype=torch.float64)
    step.unit = min(1.0, max(LEAST_UNIT, float(spread.norm())))
    some = states.values[places[:, 0], places[:, 1]]
    return Setting(model, module, step, batch, states, places, some, spread)


@torch.no_grad()
def fixed_points(
    model: nn.Module, batch: Batch | None = None, *, inputs: Any = None, starts: int = 1024, settle: int = 200,
    states: int = 2000, steps: int = 1000, layer: str | None = None, seed: int = 0, run: str = "", task: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Find every state (h, c) at which a recurrent network stands still under a constant input.

    Args:
        model: an `nn.LSTM`, `nn.LSTMCell`, `nn.RNN` or `nn.RNNCell` of one direction, or any module that holds one; it
            is not changed. The state is that of all its layers together.
        batch: sequences, from whose states searches begin; where this is None, states are drawn at random.
        inputs: what the recurrent layer itself receives at every step, (feature) or several as (input, feature); 0
            where this is None. Behind an embedding or another layer that is not what 0 is to the model.
        starts: how many states to search from: as they have settled, and as they are with a little noise, until 384 in a
            row have brought nothing new.
        settle: how many steps they are given for that.
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
        classes, the share of states that end at a point that stands for it.

    Raises:
        InputError: no recurrent layer or several, one of two directions, inputs of another width, numbers out of range.
    """
    _check(starts=(starts, 1), settle=(settle, 0), states=(states, 0), steps=(steps, 1))
    rng = generator(seed, "fixed points")
    own = setting_of(model, batch, layer, rng, starts + states)
    given = _given(inputs, own.step.features)
    first = own.some[:starts]
    noisy = first + NOISE * own.spread * torch.randn(first.shape, generator=rng, dtype=torch.float64)
    others = own.some[starts : starts + states] if len(own.some) >= starts + states else own.some[:states]
    places = own.places[starts : starts + states] if len(own.some) >= starts + states else own.places[:states]
    runner = Runner(own.module, own.step)
    same = _reads_inputs(own)
    told, rows = [], []
    for k, x in enumerate(given):
        points = _search(own.step, runner.run(first, x, settle), noisy, x, rng)
        ran = fates(runner, others, x, steps, points)
        points, ends, left_out = _sorted(points, ran.ends)
        meant = _meant(own, points, x if same else None, places, ends)
        rows += _rows(own, points, ends, meant, places, {"run": run, "task": task, "seed": seed, "input": k})
        told.append({
            "input": x.tolist(), "states": len(others), "steps": steps, "drawn": batch is None, "own_inputs": same,
            **_shares(ran, ends, points), "index": _index(own.step, points, x), "left_out": left_out,
            "codes": dict(codes_kept(meant[1], places, ends, MOST_CODES)),
        })  # fmt: skip
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.attrs["inputs"] = told
    return table


def _check(**given: tuple[Any, int]) -> None:
    problems = [f"{name}={value}: must be a whole number from {least}." for name, (value, least) in given.items()
                if not isinstance(value, int) or isinstance(value, bool) or value < least]  # fmt: skip
    if problems:
        raise InputError(*problems)


def _given(inputs: Any, features: int) -> Float[Tensor, "input feature"]:
    """Return the constant inputs, one below the other."""
    if inputs is None:
        return torch.zeros(1, features, dtype=torch.float64)
    try:
        made = torch.as_tensor(np.asarray(inputs.detach().cpu() if isinstance(inputs, Tensor) else inputs, np.float64))
    except (TypeError, ValueError):
        raise InputError(f"inputs: must be numbers, ({features}) or (input, {features})") from None
    if made.dim() not in (1, 2) or made.shape[-1] != features or not made.numel():
        raise InputError(f"inputs: of shape {tuple(made.shape)}; the recurrent layer receives {features} numbers at a "
                         f"step, so it must be ({features}) or (input, {features})")  # fmt: skip
    if not bool(made.isfinite().all()):
        raise InputError("inputs: must be finite")
    return made.reshape(-1, features)


def _reads_inputs(own: Setting) -> bool:
    """Return whether the layer reads the model's own inputs, as they are."""
    if own.batch is None or own.states is None:
        return own.module is own.model
    seen, given = own.states.inputs, own.batch.inputs.detach().double().cpu()
    return seen.shape == given.shape and bool((seen == given)[own.states.real].all())


def _search(
    step: StepMap, settled: Float[Tensor, "start size"], starts: Float[Tensor, "start size"],
    x: Float[Tensor, " feature"], rng: torch.Generator,
) -> Points:  # fmt: skip
    """Return all fixed points that are found from states that settled, from others, and between points found."""
    points = find_points(step, settled[apart(settled, SETTLED * step.scale(settled))], x)
    nothing_new = 0
    for block in starts.split(BLOCK):
        points, new = _with_more(step, points, block, x)
        nothing_new = 0 if new else nothing_new + 1
        if nothing_new == PATIENCE:
            break
    for _ in range(ROUNDS):
        pairs = torch.triu_indices(len(points.states), len(points.states), 1)
        pairs = pairs[:, torch.randperm(pairs.shape[1], generator=rng)[:PAIRS]]
        points, new = _with_more(step, points, points.states[pairs].mean(0), x)
        if not new:
            break
    return points


def _with_more(
    step: StepMap, points: Points, starts: Float[Tensor, "start size"], x: Float[Tensor, " feature"]
) -> tuple[Points, bool]:
    """Return points with those that are found from these states, and whether there were any others among them."""
    more = find_points(step, starts, x)
    every = merged(step, torch.cat([points.states, more.states]), x)
    return every, len(every.states) > len(points.states)


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


def _index(step: StepMap, points: Points, x: Float[Tensor, " feature"]) -> float:
    """Return the sum of the signs of det(1 − J): of a map of a ball into itself, 1 over all its fixed points."""
    if step.relu or not len(points.states) or bool(((points.sizes - 1).abs() <= NEUTRAL).any()):
        return math.nan
    one = torch.eye(step.size, dtype=torch.float64)
    return float(torch.linalg.slogdet(one - step.jacobian(points.states, x)[1])[0].sum())


def _meant(
    own: Setting, points: Points, x: Float[Tensor, " feature"] | None, places: Int[Tensor, "check two"],
    ends: Int[np.ndarray, " check"],
) -> tuple[Float[Tensor, "point output"] | None, Sequence[Told]]:  # fmt: skip
    """Return the outputs at points, and the signals that they stand for."""
    if own.batch is None or own.states is None or not len(points.states):
        return None, []
    at = outputs_at(own.model, own.batch, own.module, own.step, points.states, x)
    if not own.states.aligned:
        return at, []
    steps, outputs = own.places[:LOOKED_AT], None
    if at is not None:
        with undisturbed(own.model):
            made = outputs_of(own.model, own.batch)
        outputs = made[steps[:, 0], steps[:, 1]].double().cpu() if made.dim() == 3 else None
    signals = list(own.batch.signals.values())
    return at, signals_told(signals, outputs, steps, at, places, ends, len(points.states))


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
    rows = []
    for k, (state, residual, sizes) in enumerate(zip(points.states, points.residual.tolist(), points.sizes.tolist())):
        came = ends == k
        right = [values[came] == one.values[k] for one, values in zip(classes, truth)]
        agrees = float(np.all(right, axis=0).mean()) if right and came.any() else math.nan
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
