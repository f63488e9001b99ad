"""Stacks: many small LSTMs of one shape as one module, whose products are batched."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from lstm_probe.core.errors import InputError
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.stack_kernel import layer, packed, readout

State = tuple[Tensor, Tensor]


class Stack(nn.Module):
    """Modules of one kind as one, each parameter with an axis of members in front.

    Attributes:
        members: how many there are.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = len(modules)
        self._template = (copy.deepcopy(modules[0]).requires_grad_(False),)  # no child: it has no say in the state dict

    def member(self, k: int) -> nn.Module:
        """Return a module of its own with the weights of member k, counted from 0."""
        if not -self.members <= k < self.members:
            raise InputError(f"k={k}: there are {self.members} members, counted from 0.")
        module = copy.deepcopy(self._template[0])
        own = {name: values.detach()[k].clone() for name, values in self.state_dict().items()}
        trained = {name: values.requires_grad for name, values in self.named_parameters()}
        module.to(next(iter(own.values())))
        module.load_state_dict(own)
        for name, values in module.named_parameters():
            values.requires_grad_(trained[name])
        return module.train(self.training)

    def unstack(self) -> list[nn.Module]:
        """Return modules of their own with each member's weights."""
        return [self.member(k) for k in range(self.members)]


class StackedLSTM(Stack):
    """`nn.LSTM`s of one shape as one; see `stack`.

    Its parameters are called as those of an `nn.LSTM`: `weight_ih_l0` is (member, 4 units, feature), and so on.
    """

    def __init__(self, modules: Sequence[nn.LSTM]) -> None:
        super().__init__(modules)
        first = modules[0]
        self.batch_first, self.bidirectional, self.layers = first.batch_first, first.bidirectional, first.num_layers
        self.units, self.outputs = first.hidden_size, first.proj_size or first.hidden_size
        for name, one in first.named_parameters():
            values = torch.stack([module.get_parameter(name).detach() for module in modules])
            self.register_parameter(name, nn.Parameter(values, one.requires_grad))

    def forward(
        self, inputs: Float[Tensor, "..."], state: State | None = None
    ) -> tuple[Float[Tensor, "member sequence time output"], State]:
        """Return each member's outputs, and h and c after the last step.

        Args:
            inputs: (member, sequence, time, feature), or without the first axis where all members read the same; with
                time before sequence unless `batch_first`.
            state: h and c to begin with, (member, layer and direction, sequence, output or unit); zeros where this is
                None.

        Raises:
            InputError: another shape.
        """
        time = 2 if self.batch_first else 1
        shared = isinstance(inputs, Tensor) and inputs.ndim == 3
        x = inputs.expand(self.members, *inputs.shape) if shared else inputs
        features = self.get_parameter("weight_ih_l0").shape[2]
        if not isinstance(x, Tensor) or x.ndim != 4 or x.shape[0] != self.members or x.shape[3] != features:
            told = f"{list(inputs.shape)}" if isinstance(inputs, Tensor) else type(inputs).__name__
            order = "sequences, steps" if self.batch_first else "steps, sequences"
            raise InputError(f"inputs: {told}; this takes [{self.members}, {order}, {features}], or [{order}, "
                             f"{features}] for all members alike.")  # fmt: skip
        if not x.shape[time]:
            raise InputError("inputs: there is no step.")
        hidden, last = self.steps(x.permute(time, 0, 3, 3 - time), self._columns(state, x.shape[3 - time]))
        back = (1, 3, 0, 2) if self.batch_first else (1, 0, 3, 2)
        return hidden.permute(*back), (last[0].mT, last[1].mT)

    def _columns(self, state: State | None, sequences: int) -> State | None:
        if state is None:
            return None
        rows = self.layers * (1 + self.bidirectional)
        for name, values, width in zip("hc", state, (self.outputs, self.units)):
            legal = [self.members, rows, sequences, width]
            if list(values.shape) != legal:
                raise InputError(f"state: {name} is {list(values.shape)}; it has to be {legal}.")
        return state[0].mT, state[1].mT

    def steps(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return h at every step, and h and c after the last, in the order of axes that is computed in.

        Args:
            x: (time, member, feature, sequence).
            state: (member, layer and direction, output or unit, sequence) each.

        Returns:
            h as (time, member, output, sequence), and the state as it is given.
        """
        ends: list[tuple[Tensor, Tensor]] = []
        for number in range(self.layers):
            both: list[Tensor] = []
            for suffix in (f"_l{number}", f"_l{number}_reverse")[: 1 + self.bidirectional]:
                h, end = self._pass(x.flip(0) if both else x, suffix, state, len(ends))
                both.append(h.flip(0) if both else h)
                ends.append(end)
            x = torch.cat(both, dim=2) if self.bidirectional else both[0]
        return x, (torch.stack([h for h, _ in ends], dim=1), torch.stack([c for _, c in ends], dim=1))

    def _pass(self, x: Tensor, suffix: str, state: State | None, row: int) -> tuple[Tensor, State]:
        own: Mapping[str, Tensor] = self._parameters  # type: ignore[assignment]
        biases = (own[f"bias_ih{suffix}"], own[f"bias_hh{suffix}"]) if f"bias_ih{suffix}" in own else None
        weights = packed(own[f"weight_ih{suffix}"], own[f"weight_hh{suffix}"], biases)
        if state is None:
            h0, c0 = (x.new_zeros(self.members, width, x.shape[3]) for width in (self.outputs, self.units))
        else:
            h0, c0 = (values[:, row] for values in state)
        return layer(x, weights, own.get(f"weight_hr{suffix}"), (h0, c0))


class StackedModel(Stack):
    """`SequenceModel`s of one shape as one; see `stack`."""

    def __init__(self, modules: Sequence[SequenceModel]) -> None:
        super().__init__(modules)
        self.lstm = StackedLSTM([cast(nn.LSTM, module.lstm) for module in modules])
        self.readout = nn.Module()
        for name in ("weight", "bias"):
            values = torch.stack([getattr(module.readout, name).detach() for module in modules])
            self.readout.register_parameter(name, nn.Parameter(values, getattr(modules[0].readout, name).requires_grad))

    def forward(self, inputs: Float[Tensor, "..."]) -> Float[Tensor, "member sequence time result"]:
        """Return each member's outputs at every step; inputs as those of a stack of `nn.LSTM`s."""
        hidden, _ = self.lstm(inputs)
        return self._read(hidden.permute(2, 0, 3, 1)).permute(1, 3, 0, 2)

    def steps(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return (time, member, result, sequence), and the LSTMs' state; arguments as those of `StackedLSTM.steps`."""
        hidden, state = self.lstm.steps(x, state)
        return self._read(hidden), state

    def _read(self, hidden: Tensor) -> Tensor:
        own = self.readout.get_parameter
        return readout(hidden, own("weight"), own("bias"))


#: What members have to share, by what it is called.
_SHAPE = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size")


def _lstm_of(module: nn.Module) -> nn.LSTM | None:
    """Return the LSTM of a module that can be stacked, None of another."""
    plain = type(module) is SequenceModel
    lstm = module.lstm if plain else module
    return lstm if isinstance(lstm, nn.LSTM) and type(lstm).forward is nn.LSTM.forward else None


def _kind(module: nn.Module) -> str:
    """Return what a module is called that cannot be stacked."""
    of = f" of a {type(module.lstm).__name__}" if isinstance(module, SequenceModel) else ""
    return f"{type(module).__name__}{of}"


def _told(module: nn.Module, lstm: nn.LSTM) -> dict[str, Any]:
    """Return what members have to share."""
    told = {name: getattr(lstm, name) for name in _SHAPE}
    told |= {"outputs": module.readout.out_features} if isinstance(module, SequenceModel) else {}
    told |= {"training": module.training}
    for name, values in module.named_parameters():
        told |= {f"{name}.{key}": getattr(values, key) for key in ("dtype", "device", "requires_grad")}
    return {"type": type(module).__name__, **told}


def stack(modules: Sequence[nn.Module]) -> StackedLSTM | StackedModel:
    """Return many small networks of one shape as one module, several times faster than one after another.

    Each member computes what the module it was made of does, to rounding, outputs and gradients. With few units the
    gain is largest; `scripts/benchmark.py stack` measures it.

    Args:
        modules: `nn.LSTM`s, or `SequenceModel`s, all of one shape, data type and device, without dropout; they
            are copied, and stay as they are.

    Returns:
        A module whose parameters have the names of the modules' own and an axis of members in front. It takes inputs of
        (member, sequence, time, feature), or (sequence, time, feature) for all members alike (with time before
        sequence where the modules have it so), and returns what they do with the axis of members in front.
        `member(k)` and `unstack()` give modules back.

    Raises:
        InputError: nothing to stack, another kind of module, or modules that differ: the message says how.

    >>> lstms = [torch.nn.LSTM(3, 8, batch_first=True) for _ in range(20)]
    >>> stacked = stack(lstms)
    >>> outputs, (h, c) = stacked(torch.randn(20, 64, 30, 3))
    >>> list(outputs.shape), list(c.shape), list(stacked.weight_ih_l0.shape)
    ([20, 64, 30, 8], [20, 1, 64, 8], [20, 32, 3])
    >>> stacked.member(4)
    LSTM(3, 8, batch_first=True)
    """
    modules = list(modules)
    if not modules:
        raise InputError("modules: there is none to stack.")
    lstms = [_lstm_of(module) for module in modules]
    wrong = [f"modules[{k}] is a {_kind(module)}; nn.LSTM and lp.SequenceModel can be stacked."
             for k, (module, lstm) in enumerate(zip(modules, lstms)) if lstm is None]  # fmt: skip
    wrong += [f"modules[{k}] has parametrized weights, which cannot be stacked."
              for k, (module, lstm) in enumerate(zip(modules, lstms))
              if lstm is not None and any(map(is_parametrized, module.modules()))]  # fmt: skip
    if wrong:
        raise InputError(*wrong)
    told = [_told(module, lstm) for module, lstm in zip(modules, lstms) if lstm is not None]
    first = told[0]
    wrong = [
        f"modules[{k}]: {key} is {own.get(key)}, that of modules[0] is {first[key]}; they have to be alike."
        for k, own in enumerate(told) for key in first if own.get(key) != first[key]
    ]  # fmt: skip
    if first["dropout"]:
        wrong.append(f"dropout={first['dropout']:g}: a stack has none; it must be 0.")
    if wrong:
        raise InputError(*wrong[:20])
    made: type[Any] = StackedModel if isinstance(modules[0], SequenceModel) else StackedLSTM
    stacked: StackedLSTM | StackedModel = made(modules)
    return stacked.train(modules[0].training)
