"""A module with fewer units: a copy in which the LSTM and whatever reads its h have the new width, and nothing else."""

import copy
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_probe.capacity.fold import Fold, Part, parts_of, write_folded
from lstm_probe.capacity.readers import Reader, begins_at_zero, find_readers, hooked, matrices
from lstm_probe.capacity.refitting import readers_gave, refit_readers
from lstm_probe.cells.known import cell_of
from lstm_probe.cells.module import Layers
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.recorder import find_lstm
from lstm_probe.recorder.calling import calling, outputs_of
from lstm_probe.recorder.kernel import state_of
from lstm_probe.recorder.leaving import undisturbed

#: Largest difference of outputs that counts as none, as a share of their scale, by the weights' precision.
SAME = {torch.float64: 1e-9, torch.float32: 1e-5}
SEQUENCES = 32  # that both are compared on
#: Numbers of a module that are set to the new width where they are the old one, by name: none; those that are likely to
#: be the width; any.
_NOTHING, _LIKELY, _ANY = (re.compile(pattern) for pattern in ("$^", "hid|unit|rnn|lstm|width", ""))


class Narrowing:
    """Makes copies of a module in which units of its LSTM are cut.

    Whether a copy reads everything right is checked once, when this is made: the outputs of a copy with one unit less
    are compared with those of the module itself, its LSTM handing on what the folds say.

    Args:
        model: any module that holds an `nn.LSTM`; it is not changed.
        batch: sequences to run it on.
        layer: which LSTM, where there are several.

    Attributes:
        parts: all layers and directions.
        units: how many units each has.
        readers: the modules that read h.
        from_zero: whether its states begin at zero, on the batch.
        fewest: how many units it can have at least.
        offset: whether everything that reads h has a bias, so that a constant can be handed on.

    Raises:
        InputError: the LSTM's weights are made by something else, it has one unit, or some other part of the module
            depends on its width.
    """

    def __init__(self, model: nn.Module, batch: Batch, *, layer: str | None = None) -> None:
        self.model, self.batch = model, batch
        name, lstm = find_lstm(model, layer)
        if isinstance(lstm, nn.RNNCellBase):
            raise InputError(f"{name or 'the module'}: is a {type(lstm).__name__}; only whole layers can be cut, "
                             "such as nn.LSTM")  # fmt: skip
        self.name, self.lstm, self.cell = name, lstm, cell_of(lstm)
        _check_weights(name, lstm)
        self.parts, self.units, self.fewest = parts_of(lstm), lstm.hidden_size, lstm.proj_size + 1
        if lstm.proj_size and self.units == self.fewest:
            raise InputError(f"{name or 'the LSTM'}: has {self.units} units, the fewest that a projection to "
                             f"{lstm.proj_size} can have; there is nothing to cut")  # fmt: skip
        self.readers: list[Reader] = find_readers(model, batch, name, lstm)
        self.from_zero = begins_at_zero(model, batch, lstm)
        self.offset = bool(lstm.bias) and self.cell.linear and not lstm.proj_size and all(
            matrix.bias for reader in self.readers for matrix in matrices(model.get_submodule(reader.name))
        )  # fmt: skip
        self._copy = copy.deepcopy(model)
        self._given: tuple[Batch, dict[str, Tensor]] | None = None
        self._sized: list[tuple[str, str]] = []
        self._states: list[tuple[str, str]] = []
        self._check()

    def narrow(self, folds: Mapping[Part, Fold]) -> nn.Module:
        """Return the copy with these folds; the next call changes it again (see `take`)."""
        lstm, into = self.lstm, self._copy.get_submodule(self.name)
        assert isinstance(into, Layers)
        write_folded(lstm, into, folds)
        if not lstm.proj_size:
            for reader in self.readers:
                self._write_reader(reader, folds)
        units = into.hidden_size
        for owner, key in self._sized:
            setattr(self._copy.get_submodule(owner), key, units)
        for owner, key in self._states:
            value = getattr(self.model.get_submodule(owner), key)
            made = value.detach()[..., list(folds[self.parts[0]].kept)].clone()
            if isinstance(value, nn.Parameter):
                made = nn.Parameter(made, requires_grad=value.requires_grad)
            setattr(self._copy.get_submodule(owner), key, made)
        return self._copy

    def take(self, folds: Mapping[Part, Fold]) -> nn.Module:
        """Return a copy of its own with these folds."""
        return copy.deepcopy(self.narrow(folds))

    @torch.no_grad()
    def expected(self, folds: Mapping[Part, Fold], small: nn.Module, batch: Batch) -> Float[Tensor, "..."]:
        """Return what the module itself makes of a batch if its LSTM hands on what the smaller one's folds say."""
        narrow = small.get_submodule(self.name)
        tops = [part for part in self.parts if part[0] == self.parts[-1][0]]
        kept = folds[self.parts[0]].kept

        def instead(inputs: Any, hx: Any = None) -> Any:
            state = None if hx is None else state_of(hx)
            if state is not None and state[-1].shape[-1] == self.units:
                h, *more = state
                h = h if self.lstm.proj_size else h[..., list(kept)]
                state = tuple(one.contiguous() for one in (h, *(one[..., list(kept)] for one in more)))
            alone = len(self.cell.state) == 1
            shown, after = narrow(inputs, state[0] if state is not None and alone else state)
            h, *more = state_of(after)
            whole = [torch.zeros(*one.shape[:-1], self.units).to(one) for one in more]
            for own, one in zip(whole, more):
                for k, part in enumerate(self.parts):
                    own[k][..., list(folds[part].kept)] = one[k]
            if self.lstm.proj_size:
                return shown, (h, *whole)
            h = torch.stack([_expand(h[k], folds[part]) for k, part in enumerate(self.parts)])
            data = shown.data if isinstance(shown, PackedSequence) else shown
            sides = data.split(len(kept), dim=-1)
            made = torch.cat([_expand(one, folds[part]) for one, part in zip(sides, tops)], dim=-1)
            after = h if alone else (h, *whole)
            return (shown._replace(data=made) if isinstance(shown, PackedSequence) else made), after

        with undisturbed(self.model), undisturbed(small), _forward(self.lstm, instead):
            return outputs_of(self.model, batch)

    def agrees(self, folds: Mapping[Part, Fold], small: nn.Module, batch: Batch) -> float:
        """Return the largest difference between a copy's outputs and those expected, as a share of their scale.

        At real steps, where outputs are by sequence and step.
        """
        expected = self.expected(folds, small, batch)
        with undisturbed(small):
            made = outputs_of(small, batch)
        if made.shape != expected.shape:
            return float("inf")
        by_step = made.shape[:2] == batch.mask.shape
        return relative(made[batch.mask], expected[batch.mask]) if by_step else relative(made, expected)

    def refit(self, small: nn.Module, batch: Batch) -> None:
        """Fit the linear layers of a copy that read h anew, in place; see `refitting`."""
        if self.lstm.proj_size:
            return
        if self._given is None or self._given[0] is not batch:
            self._given = batch, readers_gave(self.model, [reader.name for reader in self.readers], batch)
        refit_readers(small, self._given[1], batch, batch_first=self.lstm.batch_first)

    def _write_reader(self, reader: Reader, folds: Mapping[Part, Fold]) -> None:
        of, into = self.model.get_submodule(reader.name), self._copy.get_submodule(reader.name)
        for own in matrices(of):
            weight = getattr(of, own.weight).detach()
            columns, shift, done = [], torch.zeros(len(weight), dtype=torch.float64), 0
            for at, part in reader.blocks:
                block = weight[:, at : at + self.units].cpu().double()
                columns += [weight[:, done:at], (block @ folds[part].matrix).to(weight)]
                shift += (block @ folds[part].offset).to(shift)
                done = at + self.units
            made = torch.cat([*columns, weight[:, done:]], dim=1)
            setattr(into, own.weight, nn.Parameter(made, requires_grad=getattr(of, own.weight).requires_grad))
            if own.bias is not None:
                bias = getattr(of, own.bias)
                setattr(into, own.bias, nn.Parameter((bias.detach() + shift.to(bias)), bias.requires_grad))
        if isinstance(into, nn.Linear):
            into.in_features = into.weight.shape[1]
        elif isinstance(into, Layers):
            into.input_size = getattr(into, matrices(into)[0].weight).shape[1]
            if isinstance(into, nn.RNNBase):
                into.flatten_parameters()

    def _check(self) -> None:
        """Find what else has to follow the width, and check that a copy with one unit less reads everything right."""
        some, offset = self.batch[: min(len(self.batch), SEQUENCES)], self.offset
        found: list[float | Exception] = []
        for follows in (_NOTHING, _LIKELY, _ANY):
            if follows is not _NOTHING:
                self._sized, self._states = self._own_sizes(follows)
            # A constant may be wrong where nothing was, as behind a sequence's end.
            for self.offset in (True, False) if offset else (False,):
                try:
                    folds = self._trial()
                    off = self.agrees(folds, self.narrow(folds), some)
                except (RuntimeError, ValueError, IndexError, TypeError) as problem:
                    found.append(problem)
                    break
                if off <= SAME.get(next(self.lstm.parameters()).dtype, 1e-2):
                    return
                found.append(off)
        if isinstance(found[0], float):
            raise InputError(self._why(found[0]))
        where = _failing(self._copy, some)
        raise InputError(f"{where}: depends on the width of {self.name or 'the LSTM'} ({found[0]})")

    def _trial(self) -> dict[Part, Fold]:
        """Return folds with one unit less, in whose place stands a mixture of all others."""
        kept = tuple(range(self.units - 1))
        folds = {part: Fold.keeping(kept, self.units) for part in self.parts}
        rng = torch.Generator().manual_seed(1)
        for fold in folds.values():
            fold.matrix[-1] = torch.randn(len(kept), generator=rng, dtype=torch.float64) / len(kept) ** 0.5
            fold.offset[-1] = 0.5 * self.offset
        return folds

    def _why(self, off: float) -> str:
        """Return what depends on the width, where outputs differ."""
        if off == float("inf"):
            return f"the module's outputs are as wide as h of {self.name or 'the LSTM'}: they depend on its width"
        return (
            f"something other than a linear layer reads h of {self.name or 'the LSTM'}: with a unit less, outputs are "
            f"off by {off:.1g} of their scale"
        )

    def _own_sizes(self, follows: re.Pattern[str]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Return numbers that are the width, and states of that width, in the modules that hold the LSTM, by name."""
        sizes, states = [], []
        for owner, part in self.model.named_modules():
            if part is self.lstm or not (not owner or self.name.startswith(f"{owner}.")):
                continue
            sizes += [(owner, key) for key, value in vars(part).items()
                      if type(value) is int and value == self.units and follows.search(key)]  # fmt: skip
            own = {**dict(part.named_parameters(recurse=False)), **dict(part.named_buffers(recurse=False))}
            states += [(owner, key) for key, value in own.items() if value.dim() and value.shape[-1] == self.units]
        return sizes, states


def relative(made: Tensor, expected: Tensor) -> float:
    """Return the largest difference of two tensors as a share of the scale of the second."""
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    return float((made - expected).abs().max()) / max(scale, 1e-30) if expected.numel() else 0.0


def _expand(values: Float[Tensor, "... kept"], fold: Fold) -> Float[Tensor, "... unit"]:
    return values @ fold.matrix.T.to(values) + fold.offset.to(values)


def _check_weights(name: str, lstm: Layers) -> None:
    plain = {*lstm._flat_weights_names}
    own = {key for key, _ in lstm.named_parameters()}
    if own != plain:
        raise InputError(
            f"{name or 'the LSTM'}: its weights are made by something else (weight norm, pruning); make them permanent "
            "first"
        )


@contextmanager
def _forward(module: nn.Module, forward: Any) -> Iterator[None]:
    """Let a module do something else."""
    module.forward = forward
    try:
        yield
    finally:
        del module.forward


def _failing(model: nn.Module, batch: Batch) -> str:
    """Return the name of the innermost part of a module that fails on a batch."""
    open_: list[str] = []
    names = {part: name or type(part).__name__ for name, part in model.named_modules()}

    def enter(module: nn.Module, args: Any) -> None:
        open_.append(names[module])

    def leave(module: nn.Module, args: Any, result: Any) -> None:
        open_.pop()  # what a hook returns would take the result's place

    calling(model, batch)  # before there are hooks
    handles = [part.register_forward_pre_hook(enter) for part in names]
    handles += [part.register_forward_hook(leave) for part in names]
    try:
        with hooked(handles), undisturbed(model), torch.no_grad():
            outputs_of(model, batch)
    except Exception:
        return open_[-1] if open_ else type(model).__name__
    return type(model).__name__
