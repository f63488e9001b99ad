"""How long sequences are, as their caller says."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from lstm_probe.core.containers import plain
from lstm_probe.core.errors import InputError
from lstm_probe.recorder.data import Padding


def check_lengths(lengths: object, n: int, time: int, device: torch.device) -> Int[Tensor, " sequence"]:
    """Return lengths as a tensor, all of them `time` where None was given."""
    if lengths is None:
        return torch.full((n,), time, device=device)
    try:
        given = torch.as_tensor(plain("lengths", lengths), device=device)
        whole = given.long()
        legal = (
            given.dtype != torch.bool
            and whole.shape == (n,)
            and bool((whole == given).all())
            and whole.min() >= 1
            and whole.max() <= time
        )
    except (TypeError, ValueError, RuntimeError):
        legal = False
    if not legal:
        raise InputError(f"lengths: must be {n} whole numbers from 1 to {time}, one for each sequence")
    return whole


def lengths_of_mask(mask: object) -> tuple[Tensor, Padding]:
    """Return the lengths that a mask (sequence, time) of real steps tells, and on which side the padding stands.

    Raises:
        InputError: no mask, or real steps of a sequence that are not all its first or all its last ones.
    """
    try:
        known = plain("mask", mask)
        real = known if isinstance(known, Tensor) else torch.tensor(np.asarray(known), device="cpu")
    except (TypeError, ValueError) as error:
        raise InputError(
            f"mask: a {type(mask).__name__}: must be (sequence, time), true where a step is real"
        ) from error
    if real.dim() != 2 or not bool(((real == 0) | (real == 1)).all()):
        raise InputError(f"mask of shape {tuple(real.shape)}: must be (sequence, time), true where a step is real")
    real = real.bool()
    lengths, time = real.sum(1), real.shape[1]
    steps = torch.arange(time, device=real.device)
    sides: dict[Padding, Tensor] = {
        "right": real == (steps < lengths.unsqueeze(1)),
        "left": real == (steps >= time - lengths.unsqueeze(1)),
    }
    for side, as_told in sides.items():
        if bool(as_told.all()):
            return lengths, side
    odd = ~(sides["right"].all(1) | sides["left"].all(1))
    if bool(odd.any()):
        row = int(torch.nonzero(odd)[0])
        raise InputError(f"mask: the real steps of sequence {row} are neither its first ones nor its last ones")
    raise InputError("mask: some sequences are padded on the left, others on the right; must be one side for all")
