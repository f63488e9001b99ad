"""How LSTMs begin: each initialisation against the library whose own it is, or against what defines it."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import nn

from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import INITS, UNKNOWN
from lstm_probe.recorder import LSTMConfig, record
from lstm_probe.recorder.backward import BackwardLSTM
from lstm_probe.recorder.initial import check_init, initialise, note_origin, origin_of
from tests.foreign import keras as load_keras

KNOWN = [name for name in INITS if name != UNKNOWN]
INPUTS, UNITS = 24, 32
#: In PyTorch's order of gates.
FORGET, ELSE = slice(UNITS, 2 * UNITS), np.r_[0:UNITS, 2 * UNITS : 4 * UNITS]


def drawn(init, seed=0, forget_bias=None, steps=100, **options):
    torch.manual_seed(seed)
    return initialise(nn.LSTM(INPUTS, UNITS, batch_first=True, **options), init, forget_bias, steps)


def arrays(lstm, suffix="_l0"):
    """Input weights, recurrent weights, and the two biases added up."""
    own = {name: values.detach().numpy() for name, values in lstm.named_parameters()}
    return own[f"weight_ih{suffix}"], own[f"weight_hh{suffix}"], own[f"bias_ih{suffix}"] + own[f"bias_hh{suffix}"]


def is_uniform(values, limit):
    """Whether numbers could be uniform from −limit to limit (Kolmogorov & Smirnov), and none lies outside."""
    flat = np.asarray(values).ravel()
    return np.abs(flat).max() <= limit and kstest(flat, "uniform", (-limit, 2 * limit)).pvalue > 1e-3


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"num_layers": 2, "bidirectional": True}, {"proj_size": 5}])
def test_torch_is_what_pytorch_draws(options):
    torch.manual_seed(3)
    theirs = nn.LSTM(INPUTS, UNITS, batch_first=True, **options)
    for ours in (nn.LSTM(INPUTS, UNITS, batch_first=True, **options), nn.LSTM(INPUTS, UNITS, **options)):
        torch.manual_seed(3)
        initialise(ours)
        assert all(map(torch.equal, theirs.parameters(), ours.parameters()))
    built = LSTMConfig.of(note_origin(theirs, "torch")).build(3)
    assert all(map(torch.equal, theirs.parameters(), built.parameters()))


def test_keras_is_what_keras_draws():
    """Glorot over all four gates together, one orthogonal matrix for all of them, and forget gates that begin open."""
    keras = load_keras()
    keras.utils.set_random_seed(0)
    layer = keras.layers.LSTM(UNITS)
    layer.build((None, 5, INPUTS))
    theirs = [np.asarray(w.detach().cpu()).T for w in (layer.cell.kernel.value, layer.cell.recurrent_kernel.value)]
    bias = np.asarray(layer.cell.bias.value.detach().cpu())
    kernel, recurrent, ours = arrays(drawn("keras"))
    limit = np.sqrt(6 / (INPUTS + 4 * UNITS))
    for each in (theirs[0], kernel):
        assert is_uniform(each, limit) and np.abs(each).max() > 0.95 * limit
    for each in (theirs[1], recurrent):  # columns of (4 · unit, unit) are orthogonal and of length 1; gates are not
        assert each.T @ each == pytest.approx(np.eye(UNITS), abs=1e-5)
        assert np.abs(each[:UNITS].T @ each[:UNITS] - np.eye(UNITS)).max() > 0.3
    # Both are in the order i f g o, which in Keras is called i f c o.
    assert ours == pytest.approx(bias, abs=0)
    assert (ours[FORGET] == 1).all() and (ours[ELSE] == 0).all()


def test_tf1_is_glorot_over_inputs_and_outputs_together():
    kernel, recurrent, bias = arrays(drawn("tf1"))
    limit = np.sqrt(6 / (INPUTS + UNITS + 4 * UNITS))
    whole = np.concatenate([kernel, recurrent], axis=1)
    assert is_uniform(whole, limit) and np.abs(whole).max() > 0.95 * limit
    assert (bias[FORGET] == 1).all() and (bias[ELSE] == 0).all()
    # With a projection the recurrent part is as wide as what comes out.
    kernel, recurrent, _ = arrays(drawn("tf1", proj_size=8))
    limit = np.sqrt(6 / (INPUTS + 8 + 4 * UNITS))
    assert recurrent.shape == (4 * UNITS, 8) and is_uniform(np.concatenate([kernel, recurrent], axis=1), limit)


def test_orthogonal_is_orthogonal_in_every_gate():
    kernel, recurrent, bias = arrays(drawn("orthogonal"))
    limit = np.sqrt(6 / (INPUTS + UNITS))
    for gate in range(4):
        rows = slice(gate * UNITS, (gate + 1) * UNITS)
        assert recurrent[rows].T @ recurrent[rows] == pytest.approx(np.eye(UNITS), abs=1e-5)
        assert is_uniform(kernel[rows], limit)
    assert not bias.any()


@pytest.mark.parametrize("steps", [10, 300])
def test_chrono_spans_as_many_steps_as_it_is_told(steps):
    """b_f = log u with u uniform from 1 to T − 1, b_i = −b_f, the others 0 (Tallec & Ollivier 2018, equation 16)."""
    lstms = [drawn("chrono", seed, steps=steps) for seed in range(8)]
    biases = np.stack([arrays(lstm)[2] for lstm in lstms])
    forget = biases[:, FORGET]
    assert forget.min() >= 0 and forget.max() <= np.log(steps - 1)
    assert kstest(np.exp(forget).ravel(), "uniform", (1, steps - 2)).pvalue > 1e-3
    assert np.array_equal(biases[:, :UNITS], -forget) and not biases[:, 2 * UNITS :].any()
    kernel, recurrent, _ = arrays(lstms[0])
    assert is_uniform(kernel, UNITS**-0.5) and is_uniform(recurrent, UNITS**-0.5)


@pytest.mark.parametrize("init", ["torch", "keras", "tf1", "orthogonal"])
@pytest.mark.parametrize("forget_bias", [0.0, 2.5, -1.0])
def test_a_forget_bias_stands_in_place_of_the_initialisations_own(init, forget_bias):
    plain, other = arrays(drawn(init, 5)), arrays(drawn(init, 5, forget_bias))
    own = {"torch": 0.0, "keras": 1.0, "tf1": 1.0, "orthogonal": 0.0}[init]
    assert other[2][FORGET] == pytest.approx(plain[2][FORGET] - own + forget_bias, abs=1e-6)
    assert np.array_equal(other[2][ELSE], plain[2][ELSE])
    assert all(map(np.array_equal, other[:2], plain[:2]))


@pytest.mark.parametrize("init", ["keras", "tf1", "orthogonal", "chrono"])
def test_every_layer_and_direction_begins_so_and_a_projection_as_pytorch_draws_it(init):
    lstm = drawn(init, num_layers=2, bidirectional=True, proj_size=8)
    for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse"):
        kernel, recurrent, bias = arrays(lstm, suffix)
        assert kernel.shape[1] == (INPUTS if suffix.startswith("_l0") else 16)
        if init == "keras":
            assert recurrent.T @ recurrent == pytest.approx(np.eye(8), abs=1e-5)
        forget = {"keras": 1.0, "tf1": 1.0, "orthogonal": 0.0}.get(init)
        assert (bias[FORGET] == forget).all() if forget is not None else (bias[FORGET] > 0).all()
        assert not bias[2 * UNITS :].any()
        shown = dict(lstm.named_parameters())[f"weight_hr{suffix}"].detach()
        assert is_uniform(shown, UNITS**-0.5)


@pytest.mark.parametrize("init", ["torch", "keras", "tf1", "orthogonal"])
def test_without_biases_there_are_none(init):
    lstm = drawn(init, bias=False)
    assert not any("bias" in name for name, _ in lstm.named_parameters())
    assert origin_of(lstm) == (init, None)


def test_a_module_knows_how_it_began_and_others_are_unknown():
    assert origin_of(nn.LSTM(2, 3)) == (UNKNOWN, None)
    lstm = nn.LSTM(2, 3, batch_first=True)
    weights = [w.clone() for w in lstm.parameters()]
    note_origin(lstm, "keras", 3)
    assert all(map(torch.equal, weights, lstm.parameters()))
    config = record(lstm, torch.zeros(2, 3, 2)).config
    assert (config.init, config.forget_bias, config.begins_at, config.origin) == (
        "keras",
        3.0,
        3.0,
        "keras, forget bias 3",
    )
    assert config.usual == (config,)
    assert LSTMConfig.of(drawn("tf1")).origin == LSTMConfig.of(drawn("tf1", forget_bias=1.0)).origin == "tf1"
    assert LSTMConfig.of(drawn("chrono")).begins_at is None


def test_what_stands_in_for_a_network_of_unknown_origin():
    """Six usual ways with biases; without them a forget bias makes no difference, and chrono is biases alone."""
    assert [one.origin for one in LSTMConfig(2, 3).usual] == [
        "torch", "keras", "torch, forget bias 1", "torch, forget bias 3", "chrono", "keras, forget bias 3",
    ]  # fmt: skip
    plain = LSTMConfig(2, 3, bias=False).usual
    assert [one.origin for one in plain] == ["torch", "keras"] and not any(one.build(0).bias for one in plain)
    for one in LSTMConfig(2, 3, layers=2, bidirectional=True, projection=2).usual:
        built = one.build(4, steps=30)
        assert LSTMConfig.of(built) == one and (built.num_layers, built.proj_size, built.bidirectional) == (2, 2, True)


@pytest.mark.parametrize("init", KNOWN)
def test_networks_are_drawn_from_their_seed_alone(init):
    config = LSTMConfig(2, 3, init=init)
    torch.manual_seed(8)
    before = torch.get_rng_state()
    one, again, other = config.build(1), config.build(1), config.build(2)
    assert torch.equal(before, torch.get_rng_state())
    assert all(map(torch.equal, one.parameters(), again.parameters()))
    assert not torch.equal(one.weight_hh_l0, other.weight_hh_l0)
    backward = LSTMConfig(2, 3, init=init, backward=True).build(1)
    assert isinstance(backward, BackwardLSTM) and all(map(torch.equal, one.parameters(), backward.parameters()))


def test_bad_input_is_named():
    lstm = nn.LSTM(2, 3)
    for call, told in (
        (
            lambda: initialise(lstm, "kears"),
            "init=kears: must be one of torch keras tf1 orthogonal chrono. Did you mean",
        ),
        (lambda: initialise(lstm, UNKNOWN), "init=unknown: must be one of torch keras tf1 orthogonal chrono"),
        (lambda: initialise(lstm, "chrono", 1.0), "init=chrono: draws the forget gates' biases itself"),
        (lambda: initialise(nn.LSTM(2, 3, bias=False), "chrono"), "init=chrono: .* it needs biases"),
        (lambda: initialise(nn.LSTM(2, 3, bias=False), "torch", 2.0), "forget_bias=2: this LSTM has no biases"),
        (lambda: note_origin(lstm, "glorot"), "init=glorot: must be one of .* unknown"),
    ):
        weights = [w.clone() for w in lstm.parameters()]
        with pytest.raises(InputError, match=told):
            call()
        assert all(map(torch.equal, weights, lstm.parameters())) and origin_of(lstm) == (UNKNOWN, None)
    assert check_init(UNKNOWN) == UNKNOWN
