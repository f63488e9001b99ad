"""State dicts of other cells than the LSTM: what their shapes tell, and what has to be said."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from lstm_probe.cells import GatedRNN, cell_of
from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights


def shown(layers, x):
    with torch.no_grad():
        return layers(x)[0]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([nn.GRU, nn.RNN]), st.integers(1, 4), st.integers(1, 6), st.integers(1, 3), st.booleans(),
       st.booleans(), st.sampled_from(["m.pt", "m.safetensors", "m.npz"]))  # fmt: skip
def test_pytorchs_own_modules(tmp_path_factory, kind, inputs, units, layers, both, bias, name):
    path = tmp_path_factory.mktemp("torch") / name
    module = kind(inputs, units, layers, bidirectional=both, bias=bias, batch_first=True)
    state = {f"net.rnn.{key}": value for key, value in module.state_dict().items()}
    if name == "m.npz":
        np.savez(path, **{key: value.numpy() for key, value in state.items()})
    else:
        (save_file if name.endswith("s") else torch.save)(state, path)
    got, x = load_weights(path), torch.randn(3, 5, inputs)
    assert type(got.lstm) is kind and got.name == "net.rnn"
    torch.testing.assert_close(shown(got.lstm, x), shown(module, x))
    word = {nn.GRU: "three blocks of rows: a GRU as PyTorch's", nn.RNN: "one block of rows: an RNN, of tanh"}[kind]
    assert any(note.startswith(word) for note in got.notes)


@pytest.mark.parametrize(
    ("module", "cell"),
    [(nn.GRUCell(3, 4), None), (nn.RNNCell(3, 4), None), (nn.RNNCell(3, 4, nonlinearity="relu"), "rnn_relu")],
)
def test_cells(tmp_path, module, cell):
    torch.save({f"cell.{key}": value for key, value in module.state_dict().items()}, tmp_path / "m.pt")
    got, x, h, want = load_weights(tmp_path / "m.pt", cell=cell), torch.randn(2, 5, 3), torch.zeros(2, 4), []
    with torch.no_grad():
        for t in range(5):
            h = module(x[:, t], h)
            want.append(h)
    torch.testing.assert_close(shown(got.lstm, x), torch.stack(want, 1))


NAMES = ["lstm+peepholes", "lstm_layer_norm", "lstm_no_forget", "lstm_coupled", "gru_reset_before", "rnn_relu",
         "janet", "slstm", "lstm+gates:hard_sigmoid", "janet+beta:0.25"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("both", [False, True])
def test_layers_of_any_cell_when_it_is_said(tmp_path, name, both):
    module = nn.ModuleDict({"rnn": GatedRNN(3, 4, 2, cell=name, bidirectional=both, batch_first=True),
                            "fc": nn.Linear(4 * (1 + both), 2)})  # fmt: skip
    torch.save(module.state_dict(), tmp_path / "m.pt")
    got, x = load_weights(tmp_path / "m.pt", cell=name), torch.randn(2, 6, 3)
    assert cell_of(got.lstm) == module["rnn"].cell
    with torch.no_grad():
        torch.testing.assert_close(got.model(x), module["fc"](module["rnn"](x)[0]))


@pytest.mark.parametrize("name", ["lstm+peepholes", "lstm_layer_norm"])
def test_what_stands_beside_four_blocks_tells_the_cell(tmp_path, name):
    module = GatedRNN(3, 4, 2, cell=name)
    torch.save(dict(module.state_dict()), tmp_path / "m.pt")
    got = load_weights(tmp_path / "m.pt")
    assert cell_of(got.lstm) == module.cell and got.name == "lstm"
    assert any(note.startswith(f"{module.cell.title}: by its ") for note in got.notes)


def test_what_the_weights_do_not_tell_has_to_be_said(tmp_path):
    """Plain dicts have no notes on modules, in which a state dict of ours says what it is."""
    torch.save(dict(GatedRNN(3, 4, cell="janet").state_dict()), tmp_path / "m.pt")
    with pytest.raises(InputError, match="rnn has 2 blocks of rows; say which cell with cell=NAME"):
        load_weights(tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"cell=gru: has 3 blocks of rows; of .*m.pt, rnn has 2 blocks of rows"):
        load_weights(tmp_path / "m.pt", cell="gru")
    with pytest.raises(InputError, match=r"cell=jant: must be one of .*Did you mean 'janet'"):
        load_weights(tmp_path / "m.pt", cell="jant")
    torch.save(dict(GatedRNN(3, 4, cell="lstm+peepholes+no_forget").state_dict()), tmp_path / "m.pt")
    with pytest.raises(InputError, match="gru has 3 blocks of rows beside peephole_l0; say which cell with cell=NAME"):
        load_weights(tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"cell=gru: has no peephole, which gru in .* has"):
        load_weights(tmp_path / "m.pt", cell="gru")
    torch.save(nn.LSTM(3, 4).state_dict(), tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"has no peephole, which an LSTM \(peepholes\) needs"):
        load_weights(tmp_path / "m.pt", cell="lstm+peepholes")


def test_an_lstm_goes_before_a_gru_unless_that_is_asked_for(tmp_path):
    module = nn.ModuleDict({"gate": nn.GRU(3, 4), "body": nn.LSTM(3, 5), "fc": nn.Linear(5, 2)})
    torch.save(module.state_dict(), tmp_path / "m.pt")
    got = load_weights(tmp_path / "m.pt")
    assert got.name == "body" and "gate is another layer, GRU: layer=gate reads that" in got.notes
    assert isinstance(load_weights(tmp_path / "m.pt", layer="gate").lstm, nn.GRU)
    torch.save(nn.ModuleDict({"a": nn.GRU(3, 4), "b": nn.RNN(3, 4)}).state_dict(), tmp_path / "m.pt")
    with pytest.raises(InputError, match="holds 2 recurrent layers, a and b; say which with layer=a or layer=b"):
        load_weights(tmp_path / "m.pt")
    with pytest.raises(InputError, match="layer=c: no such recurrent layer in"):
        load_weights(tmp_path / "m.pt", layer="c")
