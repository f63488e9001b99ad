"""Whether what was recomputed is what ran: recorded values beside those that the module itself returned."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

#: How far recomputed values may be from returned ones, as a share of the largest.
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 4e-2}
TF32 = 5e-3  # of 32-bit numbers on CUDA while cuDNN may multiply with 10 bits of mantissa
LEAST_SCALE = 1e-3  # of what is smaller, the kernels' own approximation of tanh and sigmoid is seen
ROUNDINGS = 10  # differences of this many times what rounding alone was seen to make are no difference


@dataclass(frozen=True)
class Check:
    """One comparison with what a module returned.

    Attributes:
        call: which call of the LSTM, counted from 0.
        layer, direction: of what was compared.
        compared: "h of every step", of a layer inside a stack with what the kernel gives of that layer alone; "last h",
            "last c" and so on with what the module returned.
        sequences, steps: how many of them; steps of all sequences together.
        difference: the largest one.
        scale: the largest of the returned values.
        tolerance: the most that the difference may be.
        step: the first step with more than that, None where it agrees.
    """

    call: int
    layer: int
    direction: str
    compared: str
    sequences: int
    steps: int
    difference: float
    scale: float
    tolerance: float
    step: int | None = None


def checks_table(checks: Iterable[Check]) -> pd.DataFrame:
    """Return a row for each comparison."""
    names = [name for name in Check.__dataclass_fields__ if name != "step"]
    return pd.DataFrame([asdict(check) for check in checks], columns=names)


def worst(checks: Iterable[Check], number: int) -> list[Check]:
    """Return one comparison for each layer, direction and kind: the worst of several calls, under another number."""
    found: dict[tuple[int, str, str], Check] = {}
    for check in checks:
        key = (check.layer, check.direction, check.compared)
        before = found.get(key, check)
        most = max(before, check, key=lambda one: one.difference / one.tolerance)
        steps = check.steps + (before.steps if key in found else 0)
        found[key] = replace(most, call=number, steps=steps)
    return list(found.values())


def allowed(returned: Tensor, scale: float) -> float:
    """Return how far recomputed values may be from returned ones, the largest of which is `scale`."""
    tolerance = TOLERANCES[returned.dtype]
    if returned.is_cuda and returned.dtype == torch.float32 and torch.backends.cudnn.allow_tf32:
        tolerance = TF32
    kind = returned.device.type
    if torch.is_autocast_enabled(kind):  # products of fewer bits, even where what is returned has 32
        tolerance = max(tolerance, TOLERANCES[torch.get_autocast_dtype(kind)])
    return tolerance * max(scale, LEAST_SCALE)


class Agreement:
    """Compares, block after block of steps, recomputed h with the one that was returned."""

    def __init__(
        self, shown: Float[Tensor, "time sequence output"], lengths: Int[Tensor, " sequence"] | None = None
    ) -> None:
        self.shown = shown
        self.real: Tensor | None = None
        if lengths is not None:
            self.real = (torch.arange(len(shown), device=shown.device).unsqueeze(1) < lengths).unsqueeze(2)
        self.worst: list[Tensor] = []
        self.memory: Tensor | None = None

    def add(
        self, start: int, again: Float[Tensor, "time sequence output"], shown: Float[Tensor, "time sequence output"]
    ) -> None:
        """Take in recomputed h from step `start` on, beside a copy of the one returned; the first is overwritten."""
        again.sub_(shown)
        if self.real is not None:
            again.masked_fill_(~self.real[start : start + len(again)], 0)
        self.worst.append(again.abs_().amax(dim=(1, 2)))

    @property
    def by_step(self) -> Float[Tensor, " time"]:
        """Return the largest difference in each step."""
        return torch.cat(self.worst)

    @property
    def scale(self) -> float:
        """Return the largest value that was returned."""
        shown = self.shown if self.real is None else self.shown.masked_fill(~self.real, 0)
        low, high = torch.aminmax(shown)
        return max(-float(low), float(high))
