"""Text for the page of a network that reads characters: stretches of held-out text, and each unit's own passages."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from lstm_probe.core.errors import InputError
from lstm_probe.core.order import UnitKey
from lstm_probe.core.seeding import derive_seed
from lstm_probe.recorder import record
from lstm_probe.report.explorer.packing import pack, pack_rows
from lstm_probe.runs.examples import telling_order
from lstm_probe.runs.run import Run
from lstm_probe.tasks.text.characters import Characters

LENGTH, CANDIDATES = 600, 16  # characters of a stretch; stretches from which the most telling ones are shown
MOST_SHOWN = 3
#: About so many bytes the shown stretches take: two for each character of each unit, a third more as text.
ROOM = 420_000
#: A passage: so many characters before the one where the unit's memory is highest or lowest, and so many after it.
BEFORE, AFTER = 40, 19
PASSAGES = 3


def text_of(run: Run, units: Sequence[UnitKey], signals: Sequence[str], variable: str) -> dict[str, Any] | None:
    """Return what the page shows of held-out text; None where the task reads none, or where it is not there any more.

    Args:
        run: a finished run.
        units: in the page's order.
        signals: names, in the page's order.
        variable: which of a unit's variables.

    Returns:
        stretches (their texts); values (units × characters, one stretch after the other, see `pack_rows`); signals
        (characters; None where the text does not tell one); read (how many characters were read in all); mean, sd, low
        and high of each unit over all of these; highest and lowest among them (see `passages`).
    """
    try:
        task: Any = run.task  # every task is a dataclass
        if not isinstance(run.task, Characters):
            return None
        longer = replace(task, length=LENGTH) if len(task.corpus.held_out) > 2 * LENGTH else task
        batch = longer.sample_up_to(CANDIDATES, derive_seed(run.info["seed"], "explorer text"))
    except InputError:
        return None
    with torch.no_grad():
        rec = record(run.model.lstm, batch.inputs, lengths=batch.lengths, variables=[variable])
    c = np.stack([rec.parts[layer, direction][variable][..., j].numpy() for layer, direction, j in units])
    mask = np.arange(c.shape[2]) < batch.lengths.numpy()[:, None]
    texts = [task.text_of(inputs[:n]) for inputs, n in zip(batch.inputs, batch.lengths.tolist())]
    known = {name: batch.signals[name].values.double().numpy() for name in signals if name in batch.signals}
    shown, steps = _shown(known, mask, len(units))
    return {
        "stretches": [texts[k][:steps] for k in shown],
        "values": pack_rows(np.concatenate([c[:, k, :steps][:, mask[k, :steps]] for k in shown], axis=1)),
        "read": int(mask.sum()), "mean": pack(c[:, mask].mean(1)), "sd": pack(c[:, mask].std(1)),
        "low": pack(c[:, mask].min(1)), "high": pack(c[:, mask].max(1)),
        "signals": [_joined(known, name, shown, steps, mask) for name in signals],
        "highest": passages(c, mask, texts, 1), "lowest": passages(c, mask, texts, -1),
    }  # fmt: skip


def _shown(
    known: Mapping[str, np.ndarray], mask: Bool[np.ndarray, "stretch time"], units: int
) -> tuple[list[int], int]:
    """Return which stretches are shown, those first in which most signals change, and how many characters of each."""
    most = max(1, int(ROOM / (units * 2 * 4 / 3)))
    steps = min(mask.shape[1], most)
    return [int(k) for k in telling_order(dict(known), mask)[: min(MOST_SHOWN, most // steps)]], steps


def _joined(
    known: Mapping[str, np.ndarray], name: str, shown: Sequence[int], steps: int, mask: Bool[np.ndarray, "stretch time"]
) -> dict[str, Any] | None:
    if name not in known:
        return None
    return pack(np.concatenate([known[name][k, :steps][mask[k, :steps]] for k in shown]))


def passages(
    c: Float[np.ndarray, "unit stretch time"], mask: Bool[np.ndarray, "stretch time"], texts: Sequence[str], sign: int
) -> list[list[dict[str, Any]]]:
    """Return, by unit, the passages around its highest values (sign 1) or its lowest (-1), none of which overlap.

    Of a unit that is constant there are none.

    Returns:
        text; peak, the place of that value in it; values of each character, from 0, the lowest of the unit, to 255, its
        highest.
    """
    made = []
    for values in c:
        left = np.where(mask, sign * values, -np.inf)
        low, high = values[mask].min(), values[mask].max()
        own: list[dict[str, Any]] = []
        while high > low and len(own) < PASSAGES and np.isfinite(left).any():
            k, t = divmod(int(left.argmax()), left.shape[1])
            start, end = max(0, t - BEFORE), min(len(texts[k]), t + AFTER + 1)
            share = (values[k, start:end] - low) / (high - low)
            own.append({"text": texts[k][start:end], "peak": t - start,
                        "values": pack(np.rint(255 * share), "uint8")})  # fmt: skip
            left[k, max(0, start - AFTER) : end + BEFORE] = -np.inf  # whose passages would overlap this one
        made.append(own)
    return made
