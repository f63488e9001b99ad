"""Cutting units: whatever read them reads, in their place, a linear function of those that are kept.

What a unit hands on is its h, or under a projection what it gives to it, o · tanh(c). In one layer and direction, what
all `units` hand on is written as `matrix @ kept + offset`. Whoever reads them (the recurrence, the next layer, linear
layers behind) then reads the kept ones alone, with its weights times the matrix, and the offset goes to its bias. The
rows of the units that are cut are left out of every gate. Nothing but weights changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstm_probe.cells.known import cell_of
from lstm_probe.cells.module import Layers
from lstm_probe.recorder.config import LSTMConfig

#: A layer and a direction.
Part = tuple[int, str]
_NAMES = {"ih": "weight_ih", "hh": "weight_hh", "bias_ih": "bias_ih", "bias_hh": "bias_hh", "hr": "weight_hr"}


@dataclass(frozen=True)
class Fold:
    """Which units of a layer and direction are kept, and what stands for all of them.

    Attributes:
        kept: their numbers, in the order that they have afterwards.
        matrix: float64.
        offset: float64; zeros where nobody who reads has a bias.
    """

    kept: tuple[int, ...]
    matrix: Float[Tensor, "unit kept"]
    offset: Float[Tensor, " unit"]

    @classmethod
    def keeping(cls, kept: tuple[int, ...], units: int) -> "Fold":
        """Return the fold that leaves the others out, with nothing in their place."""
        matrix = torch.zeros(units, len(kept), dtype=torch.float64)
        matrix[list(kept), range(len(kept))] = 1.0
        return cls(kept, matrix, torch.zeros(units, dtype=torch.float64))

    def after(self, earlier: "Fold") -> "Fold":
        """Return this fold and one that was made before it as one.

        >>> first = Fold.keeping((0, 2), 3)
        >>> Fold.keeping((1,), 2).after(first).kept
        (2,)
        """
        return Fold(
            tuple(earlier.kept[k] for k in self.kept),
            earlier.matrix @ self.matrix,
            earlier.matrix @ self.offset + earlier.offset,
        )


def parts_of(lstm: Layers) -> list[Part]:
    """Return all layers and directions, lowest layer first."""
    return list(LSTMConfig.of(lstm).parts)


def suffix(lstm: Layers, part: Part) -> str:
    """Return how the names of a part's weights end."""
    return f"_l{part[0]}" + "_reverse" * (lstm.bidirectional and part[1] == "reverse")


def weights_of(lstm: Layers, part: Part) -> dict[str, Tensor]:
    """Return the weights of a part, float64 on the CPU: ih, hh, and bias_ih, bias_hh, hr and others if any."""
    end = suffix(lstm, part)
    names = _NAMES | {name: name for name in cell_of(lstm).extra}
    found = {key: getattr(lstm, name + end, None) for key, name in names.items()}
    return {key: value.detach().cpu().double() for key, value in found.items() if isinstance(value, Tensor)}


def effective(weights: Mapping[str, Tensor]) -> Float[Tensor, "gates unit"]:
    """Return the recurrent weights by unit: those of h, through the projection where there is one."""
    return weights["hh"] @ weights["hr"] if "hr" in weights else weights["hh"]


def blocks_below(lstm: Layers, part: Part) -> dict[Part, slice]:
    """Return which columns of a part's input weights read which part of the layer below."""
    if part[0] == 0:
        return {}
    width = lstm.proj_size or lstm.hidden_size
    below = [own for own in parts_of(lstm) if own[0] == part[0] - 1]
    return {own: slice(k * width, (k + 1) * width) for k, own in enumerate(below)}


def write_folded(lstm: Layers, into: Layers, folds: Mapping[Part, Fold]) -> None:
    """Write an LSTM's weights with these folds into another one, which gets its size.

    Args:
        lstm: is not changed.
        into: a copy of it.
        folds: one for every part; all keep as many units.
    """
    sizes = {len(fold.kept) for fold in folds.values()}
    (units,) = sizes
    old, projected, cell = lstm.hidden_size, lstm.proj_size > 0, cell_of(lstm)
    blocks = len(cell.blocks)
    into.hidden_size = units
    made: dict[str, Tensor] = {}
    for part in parts_of(lstm):
        own, fold = weights_of(lstm, part), folds[part]
        read, heard = (torch.zeros(blocks * old, dtype=torch.float64) for _ in range(2))
        if projected:
            own["hr"] = own["hr"] @ fold.matrix
        else:
            heard += own["hh"] @ fold.offset
            own["hh"] = own["hh"] @ fold.matrix
            for below, columns in blocks_below(lstm, part).items():
                read += own["ih"][:, columns] @ folds[below].offset
        if not projected and part[0] > 0:
            columns_of = blocks_below(lstm, part)
            own["ih"] = torch.cat([own["ih"][:, columns_of[one]] @ folds[one].matrix for one in columns_of], dim=1)
        if "bias_ih" in own:
            own["bias_ih"], own["bias_hh"] = own["bias_ih"] + read, own["bias_hh"] + heard
        kept = torch.tensor(fold.kept)
        rows = torch.cat([kept + block * old for block in range(blocks)])
        end = suffix(lstm, part)
        for key, value in own.items():
            if key in _NAMES:
                made[_NAMES[key] + end] = value if key == "hr" else value[rows]
            else:
                made[key + end] = _of_units(value, cell.extra[key], kept)
    for name, value in made.items():
        like = getattr(lstm, name)
        setattr(into, name, nn.Parameter(value.to(like), requires_grad=like.requires_grad))
    if isinstance(into, nn.RNNBase):
        into.flatten_parameters()


def _of_units(values: Tensor, shape: tuple[int | None, ...], kept: Int[Tensor, " kept"]) -> Tensor:
    """Return what is left of a further weight, along every axis that has a place for each unit."""
    for axis, length in enumerate(shape):
        values = values if length is not None else values.index_select(axis, kept)
    return values
