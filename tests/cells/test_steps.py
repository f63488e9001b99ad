"""Each cell beside a plain loop of its paper's equations: all variables of all steps, also as they are recorded."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

import lstm_probe as lp
from lstm_probe.cells.known import NAMES
from tests.cells import loops

CELLS = {
    **{name: (loops.lstm, {}) for name in ("lstm",)},
    "lstm_no_forget": (loops.lstm, {"forget": False}),
    "lstm_coupled": (loops.lstm, {"coupled": "i"}),
    "lstm+coupled:f": (loops.lstm, {"coupled": "f"}),
    "lstm+no_input_gate": (loops.lstm, {"input_gate": False}),
    "lstm+no_output_gate+peepholes": (loops.lstm, {"output_gate": False, "peepholes": True}),
    "lstm_peepholes": (loops.lstm, {"peepholes": True}),
    "lstm+peepholes+coupled:f+clip:0.5": (loops.lstm, {"peepholes": True, "coupled": "f", "clip": 0.5}),
    "lstm+gates:hard_sigmoid": (loops.lstm, {"gates": "hard_sigmoid"}),
    "lstm+input:relu+output:relu": (loops.lstm, {"input": "relu", "output": "relu"}),
    "lstm+gates:softsign+input:linear+output:elu": (
        loops.lstm, {"gates": "softsign", "input": "linear", "output": "elu"},
    ),
    "lstm+input:leaky_relu:0.1+output:scaled_tanh:2:0.5": (
        loops.lstm, {"input": "leaky_relu:0.1", "output": "scaled_tanh:2:0.5"},
    ),
    "lstm_layer_norm": (loops.layer_norm, {}),
    "gru": (loops.gru, {}),
    "gru_reset_before": (loops.gru, {"reset_before": True}),
    "gru+gates:hard_sigmoid+input:softsign": (loops.gru, {"gates": "hard_sigmoid", "input": "softsign"}),
    "gru+reset_before+clip:0.3": (loops.gru, {"reset_before": True, "clip": 0.3}),
    "rnn": (loops.rnn, {}),
    "rnn_relu": (loops.rnn, {"input": "relu"}),
    "rnn+input:softplus": (loops.rnn, {"input": "softplus"}),
    "janet": (loops.janet, {}),
    "janet+beta:0": (loops.janet, {"beta": 0.0}),
    "slstm": (loops.slstm, {}),
    "slstm+gate:sigmoid": (loops.slstm, {"gate": "sigmoid"}),
}  # fmt: skip


def test_all_cells_are_compared():
    assert {*NAMES} <= {*CELLS}


def weights(module, suffix="_l0"):
    named = {name.removesuffix(suffix): values for name, values in module.state_dict().items() if name.endswith(suffix)}
    return {name: values.double().numpy() for name, values in named.items()}


def expected(name, module, x, state=None, suffix="_l0"):
    loop, options = CELLS[name]
    w = weights(module, suffix)
    x = x.transpose(0, 1).double().numpy()
    if loop is loops.slstm:
        assert state is None
        found = loop(w, x, **options)
    else:
        begun = [np.zeros((x.shape[1], module.hidden_size)) for _ in module.cell.state] if state is None else state
        found = loop(w, x, begun, **options)
    return {key: values.swapaxes(0, 1) for key, values in found.items()}


@pytest.mark.parametrize("name", CELLS)
@settings(max_examples=5, deadline=None)
@given(units=st.integers(1, 7), inputs=st.integers(1, 4), time=st.integers(1, 9), n=st.integers(1, 5),
       bias=st.booleans(), seed=st.integers(0, 999))  # fmt: skip
@example(units=7, inputs=3, time=8, n=3, bias=False, seed=0)  # numbers above 20
def test_every_variable_is_what_the_equations_say(name, units, inputs, time, n, bias, seed):
    torch.manual_seed(seed)
    module = lp.GatedRNN(inputs, units, bias=bias, batch_first=True, cell=name).double()
    for values in module.parameters():
        nn.init.normal_(values)
    x = torch.randn(n, time, inputs, dtype=torch.float64)
    state = None if "slstm" in name else [torch.randn(1, n, units).double() for _ in module.cell.state]
    own = state if state is None or len(state) > 1 else state[0]
    begun = None if state is None else [one[0].numpy() for one in state]
    told = expected(name, module, x, begun)
    rec = lp.record(module, x, state=own)
    assert rec[0].variables == module.cell.names
    for variable in rec[0].variables:
        np.testing.assert_allclose(rec[0][variable].numpy(), told[variable], rtol=1e-9, atol=1e-11, err_msg=variable)
    h, last = module(x, own)
    np.testing.assert_allclose(h.detach().numpy(), told["h"], rtol=1e-9, atol=1e-11)
    last = last if isinstance(last, tuple) else (last,)
    for variable, values in zip(module.cell.state, last):
        np.testing.assert_allclose(values[0].detach().numpy(), told[variable][:, -1], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", CELLS)
def test_a_second_layer_reads_the_first_in_both_directions(name):
    torch.manual_seed(1)
    module = lp.GatedRNN(3, 4, 2, batch_first=True, bidirectional=True, cell=name).double()
    x = torch.randn(5, 6, 3, dtype=torch.float64)
    rec = lp.record(module, x)
    for suffix, direction in (("", "forward"), ("_reverse", "reverse")):
        below = torch.cat([rec[0].h, rec[0, "reverse"].h], -1)
        for layer, read in ((0, x), (1, below)):
            turned = read.flip(1) if suffix else read
            told = expected(name, module, turned, suffix=f"_l{layer}{suffix}")
            for variable, values in told.items():
                if variable in module.cell.names:
                    values = values[:, ::-1] if suffix else values
                    np.testing.assert_allclose(rec[layer, direction][variable].numpy(), values, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", CELLS)
def test_packed_sequences_end_where_they_end(name):
    torch.manual_seed(2)
    module = lp.GatedRNN(3, 4, batch_first=True, bidirectional=True, cell=name).double()
    x, lengths = torch.randn(4, 7, 3, dtype=torch.float64), [3, 7, 1, 5]
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    rec = lp.record(module, packed)
    assert rec.lengths.tolist() == lengths
    shown, last = module(packed)
    padded = nn.utils.rnn.pad_packed_sequence(shown, batch_first=True)[0]
    last = last if isinstance(last, tuple) else (last,)
    for k, length in enumerate(lengths):
        alone = lp.record(module, x[k : k + 1, :length])
        for key, part in alone.parts.items():
            for variable in part.variables:
                torch.testing.assert_close(rec.parts[key][variable][k, :length], part[variable][0])
        both = torch.cat([alone[0].h, alone[0, "reverse"].h], -1)
        torch.testing.assert_close(padded[k, :length], both[0])
        ends = dict(zip(module.cell.state, last))
        for variable, values in ends.items():
            torch.testing.assert_close(values[0, k], alone[0][variable][0, -1])
            torch.testing.assert_close(values[1, k], alone[0, "reverse"][variable][0, 0])


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_numbers_of_fewer_bits_agree_with_the_module(name, dtype):
    torch.manual_seed(3)
    module = lp.GatedRNN(3, 8, 2, batch_first=True, cell=name).to(dtype)
    rec = lp.record(module, torch.randn(4, 9, 3).to(dtype))
    assert rec[0].h.dtype == dtype
    assert (rec.check()["difference"] <= rec.check()["tolerance"]).all()
