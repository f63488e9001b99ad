"""Merged units against a plain loop; who reads h; modules that cannot be made narrower."""

import numpy as np
import pytest
import torch
from torch import nn

from lstm_probe.capacity.fold import Fold, Part
from lstm_probe.capacity.narrowing import Narrowing
from lstm_probe.capacity.sums import moments_of
from lstm_probe.core.errors import InputError
from lstm_probe.recorder.calling import outputs_of
from tests.capacity.made import INPUTS, OUTPUTS, REFUSED, TAKEN, Made, batch_of, first_lstm, lstm

UNITS = 6


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def loop(own: nn.LSTM, x: np.ndarray, folds: dict[Part, Fold]) -> np.ndarray:
    """Return h of the top layer's kept units in the whole network, if all read the predictions of those that are cut.

    Units that are cut go on, unread: everything that reads them reads what their fold says.
    """
    for layer in range(own.num_layers):
        sides = []
        for direction in ("forward", "reverse")[: 1 + own.bidirectional]:
            end = f"_l{layer}" + "_reverse" * (direction == "reverse")
            w_ih, w_hh, b_ih, b_hh = (
                getattr(own, name + end).detach().double().numpy()
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            fold = folds[layer, direction]
            kept, matrix, offset = list(fold.kept), fold.matrix.numpy(), fold.offset.numpy()
            c = np.zeros((len(x), own.hidden_size))
            read = np.zeros((len(x), own.hidden_size)) + offset  # before the first step h is 0, and read as that
            shown = np.zeros((len(x), x.shape[1], own.hidden_size))
            for t in range(x.shape[1])[:: 1 if direction == "forward" else -1]:
                i, f, g, o = np.split(x[:, t] @ w_ih.T + b_ih + read @ w_hh.T + b_hh, 4, axis=1)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                read = (sigmoid(o) * np.tanh(c))[:, kept] @ matrix.T + offset
                shown[:, t] = read
            sides.append(shown)
        x = np.concatenate(sides, axis=2)
    return x


@pytest.mark.parametrize("offset", [True, False])
@pytest.mark.parametrize(("layers", "two"), [(1, False), (2, False), (1, True), (2, True)])
def test_merged_units_are_those_of_a_plain_loop(layers: int, two: bool, offset: bool) -> None:
    torch.manual_seed(0)
    own = lstm(UNITS, num_layers=layers, bidirectional=two)
    model = Made(lambda m, x: m.fc(m.rnn(x)[0]), rnn=own, fc=nn.Linear(UNITS * (1 + two), OUTPUTS)).double()
    batch = batch_of(double=True)
    narrowing = Narrowing(model, batch)
    moments = moments_of(model, batch, "rnn", own)
    kept = [(0, 2, 5), (1, 2, 3), (0, 4, 5), (2, 3, 4)]
    folds = {part: moments[part].fold(kept[k], offset=offset) for k, part in enumerate(narrowing.parts)}
    small = narrowing.take(folds)
    read = loop(own, batch.inputs.numpy(), folds)
    expected = read @ model.fc.weight.detach().numpy().T + model.fc.bias.detach().numpy()
    with torch.no_grad():
        assert np.abs(small(batch.inputs).numpy() - expected).max() <= 1e-12
    assert small.rnn.hidden_size == 3


@pytest.mark.parametrize("kind", TAKEN)
def test_every_kind_of_module_is_made_narrower(kind: str) -> None:
    torch.manual_seed(3)
    model, batch = TAKEN[kind](UNITS), batch_of(64)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    name = first_lstm(model)
    narrowing = Narrowing(model, batch, layer=name)
    moments = moments_of(model, batch, name, narrowing.lstm)
    folds = {part: moments[part].fold((0, 1, 3, 5), offset=narrowing.offset) for part in narrowing.parts}
    small = narrowing.take(folds)
    assert small.get_submodule(name).hidden_size == 4
    assert narrowing.agrees(folds, small, batch) <= 1e-5
    with torch.no_grad():
        was = outputs_of(model.eval(), batch)
        merged = outputs_of(small.eval(), batch)
        narrowing.refit(small, batch)
        refitted = outputs_of(small, batch)
    assert merged.shape == was.shape
    if "layers behind" not in kind and "attention" not in kind:  # there what is fitted is not what comes out
        real = batch.mask if was.shape[:2] == batch.mask.shape else slice(None)
        off = [float((made - was)[real].square().mean()) for made in (merged, refitted)]
        assert off[1] <= off[0] * 1.001
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])


@pytest.mark.parametrize("kind", REFUSED)
def test_what_depends_on_the_width_is_named(kind: str) -> None:
    torch.manual_seed(4)
    make, words = REFUSED[kind]
    model = make(UNITS)
    with pytest.raises(InputError) as refused:
        Narrowing(model, batch_of(inputs=INPUTS), layer=first_lstm(model) if kind not in ("cell",) else None)
    assert words in str(refused.value)


def test_a_refit_is_least_squares() -> None:
    torch.manual_seed(5)
    model, batch = TAKEN["every step"](UNITS), batch_of(48)
    narrowing = Narrowing(model, batch)
    moments = moments_of(model, batch, "rnn", model.rnn)
    small = narrowing.take({part: moments[part].fold((1, 4), offset=True) for part in narrowing.parts})
    narrowing.refit(small, batch)
    with torch.no_grad():
        x = small.rnn(batch.inputs)[0][batch.mask].double().numpy()
        y = model(batch.inputs)[batch.mask].double().numpy()
    best = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)[0]
    found = np.c_[small.fc.weight.detach().numpy(), small.fc.bias.detach().numpy()].T
    assert np.abs(found - best).max() <= 1e-4


def test_readers_are_told_with_their_columns() -> None:
    torch.manual_seed(6)
    found = {kind: Narrowing(TAKEN[kind](UNITS), batch_of(), layer=first_lstm(TAKEN[kind](UNITS))).readers
             for kind in ("beside the input", "attention", "two heads", "last states of both directions")}  # fmt: skip
    forward, reverse = (1, "forward"), (1, "reverse")
    assert [(r.name, r.blocks) for r in found["beside the input"]] == [("fc", ((INPUTS, (0, "forward")),))]
    assert {r.name for r in found["attention"]} == {"score", "fc"}
    assert {r.name for r in found["two heads"]} == {"one", "two"}
    assert [r.blocks for r in found["last states of both directions"]] == [((0, forward), (UNITS, reverse))]


def test_a_reader_without_a_bias_lets_no_constant_through() -> None:
    assert not Narrowing(TAKEN["two heads"](UNITS), batch_of()).offset
    assert Narrowing(TAKEN["every step"](UNITS), batch_of()).offset
