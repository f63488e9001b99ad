"""Modules with an LSTM as people write them, and LSTMs in which it is known what can be cut."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_probe.core.signal import Batch

INPUTS, STEPS, OUTPUTS = 3, 12, 2
GATES = 4


def batch_of(n: int = 12, *, time: int = STEPS, inputs: int = INPUTS, seed: int = 0, double: bool = False) -> Batch:
    """Return a batch of noise without targets, sequences of unequal lengths."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, time, inputs, generator=rng, dtype=torch.float64 if double else torch.float32)
    lengths = torch.randint(time // 2, time + 1, (n,), generator=rng)
    lengths[0] = time
    return Batch(x, {}, (), lengths, {})


class Made(nn.Module):
    """An LSTM and what a function makes of its inputs with it."""

    def __init__(self, use: Callable[[Any, Tensor], Tensor], **parts: Any) -> None:
        super().__init__()
        self.use = use
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.use(self, inputs)


class Packed(nn.Module):
    """A module that packs its sequences and reads the last state."""

    def __init__(self, units: int, layers: int, two: bool) -> None:
        super().__init__()
        self.rnn = nn.LSTM(INPUTS, units, layers, batch_first=True, bidirectional=two)
        self.head = nn.Linear(units * (1 + two), OUTPUTS)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        shown = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=inputs.shape[1])[0]
        made: Tensor = self.head(shown)
        return made


class Tutorial(nn.Module):
    """Makes its own initial states of `self.hidden_size` zeros."""

    def __init__(self, units: int, layers: int) -> None:
        super().__init__()
        self.hidden_size, self.num_layers = units, layers
        self.lstm = nn.LSTM(INPUTS, units, layers, batch_first=True)
        self.fc = nn.Linear(units, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        h0 = torch.zeros(self.num_layers, x.size(0), self.hidden_size)
        c0 = torch.zeros(self.num_layers, x.size(0), self.hidden_size)
        out, _ = self.lstm(x, (h0, c0))
        made: Tensor = self.fc(out[:, -1, :])
        return made


class Crowded(nn.Module):
    """Cuts h in two by a number that is its width, beside another number that happens to be the same."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.hidden, self.classes = units, units
        self.lstm = nn.LSTM(INPUTS, units, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * units, units)

    def forward(self, x: Tensor) -> Tensor:
        shown = self.lstm(x)[0]
        both = shown.view(len(x), -1, 2, self.hidden).flatten(2)
        made: Tensor = self.fc(both).view(len(x), -1, self.classes)
        return made


class Learned(nn.Module):
    """Learns its initial states."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(INPUTS, units, batch_first=True)
        self.h0, self.c0 = (nn.Parameter(torch.randn(1, 1, units) / 2) for _ in range(2))
        self.fc = nn.Linear(units, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        state = tuple(own.expand(-1, len(x), -1).contiguous() for own in (self.h0, self.c0))
        made: Tensor = self.fc(self.lstm(x, state)[0])
        return made


def lstm(units: int, *, inputs: int = INPUTS, **kinds: Any) -> nn.LSTM:
    """Return an `nn.LSTM`, batch first unless said otherwise."""
    return nn.LSTM(inputs, units, **{"batch_first": True, **kinds})


def _attention(m: Any, x: Tensor) -> Tensor:
    shown = m.rnn(x)[0]
    made: Tensor = m.fc((m.score(shown).softmax(1) * shown).sum(1))
    return made


def _state(m: Any, x: Tensor) -> Tensor:
    h = m.rnn(x)[1][0]
    made: Tensor = m.fc(torch.cat([h[-2], h[-1]], dim=-1))
    return made


def _step_by_step(m: Any, x: Tensor) -> Tensor:
    state, outputs = None, []
    for t in range(x.shape[1]):
        shown, state = m.rnn(x[:, t : t + 1], state)
        outputs.append(m.fc(shown))
    return torch.cat(outputs, dim=1)


#: Modules in which units can be cut, by what is made of h; each takes the number of units.
TAKEN: dict[str, Callable[[int], nn.Module]] = {
    "every step": lambda n: Made(lambda m, x: m.fc(m.rnn(x)[0]), rnn=lstm(n), fc=nn.Linear(n, OUTPUTS)),
    "last step": lambda n: Made(lambda m, x: m.fc(m.rnn(x)[0][:, -1]), rnn=lstm(n), fc=nn.Linear(n, OUTPUTS)),
    "last state": lambda n: Made(lambda m, x: m.fc(m.rnn(x)[1][0][-1]), rnn=lstm(n, num_layers=2),
                                 fc=nn.Linear(n, OUTPUTS)),
    "last states of both directions": lambda n: Made(_state, rnn=lstm(n, bidirectional=True, num_layers=2),
                                                     fc=nn.Linear(2 * n, OUTPUTS)),
    "mean over steps": lambda n: Made(lambda m, x: m.fc(m.rnn(x)[0].mean(1)), rnn=lstm(n, bidirectional=True),
                                      fc=nn.Linear(2 * n, OUTPUTS)),
    "attention": lambda n: Made(_attention, rnn=lstm(n), score=nn.Linear(n, 1), fc=nn.Linear(n, OUTPUTS)),
    "all steps at once": lambda n: Made(lambda m, x: m.fc(m.rnn(x)[0].flatten(1)), rnn=lstm(n),
                                        fc=nn.Linear(n * STEPS, OUTPUTS)),
    "beside the input": lambda n: Made(lambda m, x: m.fc(torch.cat([x, m.rnn(x)[0]], -1)), rnn=lstm(n),
                                       fc=nn.Linear(n + INPUTS, OUTPUTS)),
    "time first": lambda n: Made(lambda m, x: m.fc(m.rnn(x.transpose(0, 1))[0]).transpose(0, 1),
                                 rnn=lstm(n, batch_first=False), fc=nn.Linear(n, OUTPUTS)),
    "dropout and two layers behind": lambda n: Made(
        lambda m, x: m.head(m.rnn(x)[0]), rnn=lstm(n, num_layers=2, dropout=0.3),
        head=nn.Sequential(nn.Dropout(0.5), nn.Linear(n, 7), nn.ReLU(), nn.Linear(7, OUTPUTS))),
    "two heads": lambda n: Made(lambda m, x: torch.cat([m.one(m.rnn(x)[0]), m.two(m.rnn(x)[0])], -1), rnn=lstm(n),
                                one=nn.Linear(n, 1), two=nn.Linear(n, 1, bias=False)),
    "another LSTM behind": lambda n: Made(lambda m, x: m.fc(m.above(m.rnn(x)[0])[0]), rnn=lstm(n),
                                          above=lstm(5, inputs=n, bidirectional=True), fc=nn.Linear(10, OUTPUTS)),
    "packed": lambda n: Packed(n, 1, False),
    "packed, two layers and directions": lambda n: Packed(n, 2, True),
    "states of its own width": lambda n: Tutorial(n, 2),
    "step by step": lambda n: Made(_step_by_step, rnn=lstm(n, num_layers=2), fc=nn.Linear(n, OUTPUTS)),
    "learned states": Learned,
    "as many classes as units": Crowded,
    "no biases": lambda n: Made(lambda m, x: m.fc(m.rnn(x)[0]), rnn=lstm(n, bias=False, num_layers=2),
                                fc=nn.Linear(n, OUTPUTS, bias=False)),
    "double": lambda n: Made(lambda m, x: m.fc(m.rnn(x.double())[0]), rnn=lstm(n), fc=nn.Linear(n, OUTPUTS)).double(),
    "projection": lambda n: Made(lambda m, x: m.fc(m.rnn(x)[0]), rnn=lstm(n, proj_size=3), fc=nn.Linear(3, OUTPUTS)),
    "projection, two layers and directions": lambda n: Made(
        lambda m, x: m.norm(m.rnn(x)[0]), rnn=lstm(n, proj_size=3, num_layers=2, bidirectional=True),
        norm=nn.LayerNorm(6)),
}  # fmt: skip


def _normed(n: int) -> nn.Module:
    return Made(lambda m, x: m.fc(m.norm(m.rnn(x)[0])), rnn=lstm(n), norm=nn.LayerNorm(n), fc=nn.Linear(n, OUTPUTS))


def _decoder(n: int) -> nn.Module:
    return Made(lambda m, x: m.fc(m.decoder(x, m.rnn(x)[1])[0]), rnn=lstm(n), decoder=lstm(n),
                fc=nn.Linear(n, OUTPUTS))  # fmt: skip


def _attended(n: int) -> nn.Module:
    def use(m: Any, x: Tensor) -> Tensor:
        shown = m.rnn(x)[0]
        made: Tensor = m.fc(m.heads(shown, shown, shown)[0])
        return made

    return Made(use, rnn=lstm(n), heads=nn.MultiheadAttention(n, 2, batch_first=True), fc=nn.Linear(n, OUTPUTS))


def _weight_normed(n: int) -> nn.Module:
    model = TAKEN["every step"](n)
    nn.utils.parametrizations.weight_norm(model.rnn, "weight_hh_l0")
    return model


def first_lstm(model: nn.Module) -> str:
    """Return the name of a module's first LSTM."""
    return next(name for name, part in model.named_modules() if isinstance(part, nn.LSTM))


#: Modules in which they cannot: how each is made, and what of it the error has to name.
REFUSED: dict[str, tuple[Callable[[int], nn.Module], str]] = {
    "layer norm": (_normed, "norm: depends on the width of rnn"),
    "decoder": (_decoder, "decoder: depends on the width of rnn"),
    "attention over heads": (_attended, "heads: depends on the width of rnn"),
    "weight norm": (_weight_normed, "rnn: its weights are made by something else"),
    "squashed": (lambda n: Made(lambda m, x: m.fc(m.rnn(x)[0].relu()), rnn=lstm(n), fc=nn.Linear(n, OUTPUTS)),
                 "fc: depends on the width of rnn"),
    "h itself": (lambda n: Made(lambda m, x: m.rnn(x)[0], rnn=lstm(n)), "as wide as h"),
    "sum of units": (lambda n: Made(lambda m, x: m.rnn(x)[0].sum(-1, keepdim=True), rnn=lstm(n)),
                     "something other than a linear layer reads h"),
    "memory": (lambda n: Made(lambda m, x: m.fc(m.rnn(x)[1][1][-1]), rnn=lstm(n), fc=nn.Linear(n, OUTPUTS)),
               "fc: reads the memory"),
    "residual": (lambda n: Made(lambda m, x: m.fc(m.rnn(m.up(x))[0] + m.up(x)), up=nn.Linear(INPUTS, n),
                                rnn=lstm(n, inputs=n), fc=nn.Linear(n, OUTPUTS)), "depends on the width of rnn"),
    "one unit": (lambda n: Made(lambda m, x: m.fc(m.rnn(x)[0]), rnn=lstm(1), fc=nn.Linear(1, OUTPUTS)),
                 "has one unit"),
    "cell": (lambda n: Made(lambda m, x: m.fc(m.rnn(x[:, 0])[0]), rnn=nn.LSTMCell(INPUTS, n),
                            fc=nn.Linear(n, OUTPUTS)), "rnn: is a LSTMCell"),
}  # fmt: skip

#: Of 12 planted units six are left: units 5 and 6 are copies of 0 (6 with its sign turned), 8 and 9 follow the course
#: of 7, and nobody reads 10 and 11.
PLANTED, LEFT = 12, (0, 1, 2, 3, 4, 7)


@torch.no_grad()
def plant(model: nn.Module, *, copies: bool = True, constants: bool = True, unread: bool = True) -> nn.LSTM:
    """Make the 12 units of each layer and direction of a module's first LSTM such that six of them are enough."""
    own = next(part for part in model.modules() if isinstance(part, nn.LSTM))
    for key in [name.removeprefix("weight_ih") for name, _ in own.named_parameters() if name.startswith("weight_ih")]:
        names = [name for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if hasattr(own, name + key)]
        rows = {name: getattr(own, name + key).view(GATES, PLANTED, -1) for name in names}
        if copies:
            for weight in rows.values():
                weight[:, 5], weight[:, 6] = weight[:, 0], weight[:, 0]
                weight[2, 6] *= -1
        if constants:
            for unit, gates in ((7, (1.0, -200.0, 0.7, 0.5)), (8, (0.3, -200.0, -0.4, 2.0)), (9, (2, -200.0, 1, -1))):
                for weight in rows.values():
                    weight[:, unit] = 0.0
                for gate, value in enumerate(gates):
                    rows["bias_ih"][gate, unit] = value
        if unread:
            _unread(model, own, key, [10, 11])
    return own


def _unread(model: nn.Module, own: nn.LSTM, key: str, units: Sequence[int]) -> None:
    if own.proj_size:
        getattr(own, f"weight_hr{key}")[:, units] = 0.0
        return
    others = [unit for unit in range(PLANTED) if unit not in units]
    rows = getattr(own, f"weight_hh{key}").view(GATES, PLANTED, -1)
    for unit in units:
        rows[:, others, unit] = 0.0
    layer, reverse = int(key.removeprefix("_l").removesuffix("_reverse")), key.endswith("reverse")
    at = [unit + PLANTED * reverse for unit in units]
    if layer + 1 < own.num_layers:
        for above in [f"weight_ih_l{layer + 1}", f"weight_ih_l{layer + 1}_reverse"][: 1 + own.bidirectional]:
            getattr(own, above)[:, at] = 0.0
        return
    width = PLANTED * (1 + own.bidirectional)
    for name, part in model.named_modules():
        if isinstance(part, nn.LSTM) and part is not own and part.input_size == width:
            for above in [weight for weight in part._all_weights[0] if "ih" in weight and "weight" in weight]:
                getattr(part, above)[:, at] = 0.0
            if part.bidirectional:
                part.weight_ih_l0_reverse[:, at] = 0.0
        if isinstance(part, nn.Linear) and name.split(".")[-1] not in ("3", "norm") and part.in_features >= width:
            first = part.in_features % width
            for block in range(first, part.in_features, width):
                part.weight[:, [block + unit for unit in at]] = 0.0
