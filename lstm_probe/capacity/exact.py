"""Units that can be cut and nothing changes, by the weights alone: unread ones, copies, and those that hear no input.

Unread: no path of weights leads from the unit to anything that reads h. Copies: the same inputs, biases and recurrence,
where units that are copies of each other count as one (the coarsest lumping); a copy with the sign turned is one, too.
Units that hear no input follow the same course in every sequence; where two courses are proportional at every step,
the first too, one carries the other. The last two hold where states begin at zero; else they are not looked for.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.capacity.fold import Fold, Part, blocks_below, effective, weights_of
from lstm_probe.capacity.narrowing import Narrowing
from lstm_probe.capacity.readers import matrices
from lstm_probe.cells.declared import Cell, unseen
from lstm_probe.cells.lstm import LSTM
from lstm_probe.cells.module import Layers
from lstm_probe.cells.steps import run_steps

#: Rows and courses that differ by less than this share of their size are the same.
SAME = 1e-7
COURSE = 1024  # steps for which the courses of units that hear no input are compared, at least


def exact_folds(narrowing: Narrowing) -> dict[Part, Fold]:
    """Return, for each layer and direction, the fold that cuts what can be cut exactly; all keep as many units.

    An LSTM has one number of units for all layers and directions: where one could do with fewer than another, it keeps
    as many all the same; under a projection, more than h has elements.
    """
    folds = _once(narrowing)
    if not narrowing.fewest < len(folds[narrowing.parts[0]].kept) < narrowing.units:
        return folds
    more = _once(Narrowing(narrowing.take(folds), narrowing.batch, layer=narrowing.name))
    return {part: more[part].after(fold) for part, fold in folds.items()}  # what is merged may cancel, and be unread


def _once(narrowing: Narrowing) -> dict[Part, Fold]:
    found = _folds(narrowing, _read(narrowing))
    units = max(max(len(fold.kept) for fold in found.values()), narrowing.fewest)
    return {part: filled(fold, units) for part, fold in found.items()}


def cuttable(narrowing: Narrowing) -> dict[Part, tuple[int, int]]:
    """Return how many units of each layer and direction nothing reads, and for how many another one stands exactly."""
    read = _read(narrowing)
    found = _folds(narrowing, read)
    return {part: (int((~read[part]).sum()), int(read[part].sum()) - len(fold.kept)) for part, fold in found.items()}


def _folds(narrowing: Narrowing, read: Mapping[Part, Bool[Tensor, " unit"]]) -> dict[Part, Fold]:
    """Return the folds that cut all that can be cut, of each layer and direction by itself."""
    found: dict[Part, Fold] = {}
    for part in narrowing.parts:
        found[part] = _fold(narrowing, part, read[part], found)
    return found


def _read(narrowing: Narrowing) -> dict[Part, Bool[Tensor, " unit"]]:
    """Return which units something reads, directly or through others."""
    lstm, units = narrowing.lstm, narrowing.units
    weights = {part: weights_of(lstm, part) for part in narrowing.parts}
    shown = {part: own.get("hr", torch.eye(units, dtype=torch.float64)) for part, own in weights.items()}
    read = {part: torch.zeros(units, dtype=torch.bool) for part in narrowing.parts}
    if lstm.proj_size:  # what reads h reads it whole
        tops = [part for part in narrowing.parts if part[0] == narrowing.parts[-1][0]]
        read |= {part: (shown[part] != 0).any(0) for part in tops}
    for reader in narrowing.readers:
        module = narrowing.model.get_submodule(reader.name)
        for matrix in matrices(module):
            weight = getattr(module, matrix.weight).detach().cpu().double()
            for at, part in reader.blocks:
                read[part] |= ((weight[:, at : at + len(shown[part])] @ shown[part]) != 0).any(0)
    while True:
        before = sum(int(own.sum()) for own in read.values())
        for part, own in weights.items():
            rows = read[part].repeat(len(narrowing.cell.blocks))
            read[part] |= (effective(own)[rows] != 0).any(0)
            for below, columns in blocks_below(lstm, part).items():
                read[below] |= ((own["ih"][rows][:, columns] @ shown[below]) != 0).any(0)
        if sum(int(own.sum()) for own in read.values()) == before:
            return read


def _fold(
    narrowing: Narrowing, part: Part, read: Bool[Tensor, " unit"], below: Mapping[Part, Fold]
) -> Fold:  # fmt: skip
    """Return the fold of one layer and direction, those of the layer below given."""
    own, units, cell = weights_of(narrowing.lstm, part), narrowing.units, narrowing.cell
    heard, gates = _heard(narrowing.lstm, part, own, below), len(cell.blocks)
    biases = [own[key].unsqueeze(1) for key in ("bias_ih", "bias_hh") if key in own]
    biases = [biases[0] + biases[1]] if biases and cell == LSTM else biases
    rows = torch.cat([heard, *biases, torch.zeros(gates * units, 0).double()], dim=1).view(gates, units, -1)
    recurrent = effective(own).view(gates, units, units)
    signs, odd = torch.ones(units).double(), turning_block(cell)
    if odd is not None:
        signs = _signs(rows[odd])
        turned = signs.repeat(gates).view(gates, units)
        turned = torch.where(torch.arange(gates).unsqueeze(1) == odd, turned, 1.0).unsqueeze(-1)
        rows, recurrent = rows * turned, recurrent * turned * signs
    rows = torch.cat([rows, *(_by_unit(own[name], shape, gates, units) for name, shape in cell.extra.items())], dim=2)
    labels = _lumped(rows, recurrent, read) if narrowing.from_zero else torch.arange(units)
    matrix = torch.zeros(units, units, dtype=torch.float64)
    firsts: dict[int, int] = {}
    for unit in torch.nonzero(read).flatten().tolist():
        first = firsts.setdefault(int(labels[unit]), unit)
        matrix[unit, first] = signs[unit] * signs[first]
    plain = narrowing.from_zero and cell.linear
    carried = _carried(cell, own, heard, list(firsts.values())) if plain else {}
    for unit, (carrier, ratio) in carried.items():
        matrix[:, carrier] += matrix[:, unit] * ratio
        matrix[:, unit] = 0
    kept = tuple(torch.nonzero((matrix != 0).any(0)).flatten().tolist())
    return Fold(kept, matrix[:, list(kept)], torch.zeros(units, dtype=torch.float64))


def _heard(lstm: Layers, part: Part, own: Mapping[str, Tensor], below: Mapping[Part, Fold]) -> Float[Tensor, "r f"]:
    """Return a part's input weights, those of the layer below as they are after its fold."""
    blocks = blocks_below(lstm, part)
    if not blocks or lstm.proj_size:
        return own["ih"]
    return torch.cat([own["ih"][:, columns] @ below[one].matrix for one, columns in blocks.items()], dim=1)


def _signs(rows: Float[Tensor, "unit column"]) -> Float[Tensor, " unit"]:
    """Return, for each unit, the sign of the first of its cell input's weights that is not zero; 1 where all are."""
    first = (rows != 0).double().argmax(1, keepdim=True)
    found = rows.gather(1, first).squeeze(1).sign()
    return torch.where(found == 0, 1.0, found)


def _lumped(
    rows: Float[Tensor, "gate unit column"], recurrent: Float[Tensor, "gate unit unit"], read: Bool[Tensor, " unit"]
) -> Int[Tensor, " unit"]:  # fmt: skip
    """Return which units are the same: the coarsest partition in which all of a block hear the same of every block."""
    units = len(read)
    recurrent = torch.where(read, recurrent, 0.0)
    labels = torch.where(read, 0, 1)
    while True:
        own = torch.nn.functional.one_hot(labels, units + 1).double()
        signature = torch.cat([rows, recurrent @ own], dim=-1).transpose(0, 1).flatten(1)
        finer = _grouped(signature, labels)
        if int(finer.max()) == int(labels.max()) and torch.equal(finer, labels):
            return labels
        labels = finer


def _grouped(signature: Float[Tensor, "unit value"], labels: Int[Tensor, " unit"]) -> Int[Tensor, " unit"]:
    """Return finer labels: those with one label and the same signature get one."""
    size = signature.abs().amax().clamp(min=1e-30)
    finer = torch.full_like(labels, -1)
    count = 0
    for unit in range(len(labels)):
        if finer[unit] < 0:
            near = (signature - signature[unit]).abs().amax(1) <= SAME * size
            finer[near & (labels == labels[unit]) & (finer < 0)] = count
            count += 1
    return finer


def _carried(
    cell: Cell, own: Mapping[str, Tensor], heard: Float[Tensor, "row feature"], units: Sequence[int]
) -> dict[int, tuple[int, float]]:
    """Return, of units that hear no input, which one carries which, and by what factor; 0 where it is always 0."""
    gates = len(cell.blocks)
    n = len(heard) // gates
    deaf = (heard.view(gates, n, -1) == 0).all(-1).all(0)
    recurrent = effective(own).view(gates, n, n)
    while True:
        still = deaf & ~(recurrent[:, :, ~deaf] != 0).any(-1).any(0)
        if torch.equal(still, deaf):
            break
        deaf = still
    which = [unit for unit in units if deaf[unit]]
    if not which:
        return {}
    courses = _courses(cell, own, deaf)
    found: dict[int, tuple[int, float]] = {}
    carriers: list[int] = []
    for unit in which:
        course = courses[:, unit]
        for carrier in carriers:
            ratio = float(course @ courses[:, carrier] / courses[:, carrier].square().sum())
            if float((course - ratio * courses[:, carrier]).abs().max()) <= SAME * float(course.abs().max()):
                found[unit] = carrier, ratio
                break
        else:
            if float(course.abs().max()) == 0:
                found[unit] = unit, 0.0
            else:
                carriers.append(unit)
    return found


def _courses(cell: Cell, own: Mapping[str, Tensor], deaf: Bool[Tensor, " unit"]) -> Float[Tensor, "step unit"]:
    """Return what units that hear no input hand on at each step, from nothing; 0 for the others."""
    n = len(deaf)
    named = {key: own[key] for key in ("bias_ih", "bias_hh", *cell.extra) if key in own}
    named["weight_ih"] = own["ih"].new_zeros(len(own["ih"]), 1)
    named["weight_hh"] = torch.where(deaf, effective(own), 0.0)
    state, course = dict(zip(cell.state, cell.start(own["ih"], (1, n)))), []
    read = cell.reads(named, own["ih"].new_zeros(1, 1))
    for _ in range(COURSE):
        state = cell.step(named, read, state, unseen)
        state["h"] = torch.where(deaf, state["h"], 0.0)
        course.append(state["h"][0])
    return torch.stack(course)


@cache
def turning_block(cell: Cell) -> int | None:
    """Return the block of rows that turns a unit's sign, and nothing else, when it turns its own; None: there is none.

    Found by trying: of three random units one is turned, with what the others hear of it, and run for a few steps.
    """
    if cell.extra:
        return None
    rng = torch.Generator().manual_seed(0)
    blocks, units, x = len(cell.blocks), 3, torch.randn(6, 2, 2, generator=rng).double()
    own = {name: torch.randn(cell.shape(name, 2, units), generator=rng).double() for name in cell.weights()}
    shown = run_steps(cell, own, x, cell.start(x, (2, units)))[0]
    for block in range(blocks):
        row, other = block * units, {name: values.clone() for name, values in own.items()}
        other["weight_hh"][:, 0] *= -1
        for values in other.values():
            values[row] *= -1
        turned = run_steps(cell, other, x, cell.start(x, (2, units)))[0]
        turned[..., 0] *= -1
        if torch.allclose(turned, shown, atol=1e-9):
            return block
    return None


def _by_unit(
    values: Tensor, shape: tuple[int | None, ...], blocks: int, units: int
) -> Float[Tensor, "block unit value"]:  # fmt: skip
    """Return a further weight's values by unit."""
    axis = shape.index(None)
    return values.movedim(axis, 0).reshape(1, units, -1).expand(blocks, -1, -1)


def filled(fold: Fold, size: int, back: Sequence[int] = ()) -> Fold:
    """Return a fold that keeps so many units, and those of `back`: some that could be cut keep their own place."""
    matrix, units = fold.matrix.clone(), len(fold.matrix)
    free = [unit for unit in range(units) if unit not in fold.kept and unit not in back]
    more = [*back, *free[: max(size - len(fold.kept) - len(back), 0)]]
    size = len(fold.kept) + len(more)
    for unit in more:
        column = torch.zeros(units, 1, dtype=torch.float64)
        column[unit] = 1.0
        matrix[unit] = 0.0
        matrix = torch.cat([matrix, column], dim=1)
    order = sorted(range(size), key=[*fold.kept, *more].__getitem__)
    kept = tuple(sorted([*fold.kept, *more]))
    return Fold(kept, matrix[:, order], fold.offset)
