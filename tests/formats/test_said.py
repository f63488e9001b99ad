"""What weights' names and shapes do not tell stands beside them in the file, and is read: compared with the network."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lstm_probe.cells import GatedRNN, cell_of, get_cell
from lstm_probe.core.errors import InputError
from lstm_probe.formats import ImportedModel, load_weights
from lstm_probe.formats.imported import Skips
from lstm_probe.formats.said import in_header, said_of
from lstm_probe.formats.write import export
from lstm_probe.network.model import SequenceModel
from lstm_probe.recorder.config import make_layers

CELLS = ["lstm", "gru", "rnn", "rnn_relu", "gru_reset_before", "lstm_no_forget", "lstm_coupled", "lstm+coupled:f",
         "lstm+no_input_gate", "lstm+coupled:i+peepholes", "lstm+gates:hard_sigmoid", "lstm_layer_norm", "janet+beta:0",
         "slstm", "slstm+gate:sigmoid", "rnn+input:sigmoid"]  # fmt: skip
X = torch.randn(3, 6, 3, generator=torch.Generator().manual_seed(0))


def network(cell="lstm", way="forward", **more):
    torch.manual_seed(1)
    lstm = make_layers(get_cell(cell), 3, 4, 2, bidirectional=way == "both", backward=way == "backward")
    return ImportedModel(lstm, nn.Linear(4 * (1 + (way == "both")), 2), **more).eval()


def outputs(imported, x=X):
    with torch.no_grad():
        return imported.with_activation(imported.activation)(x)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("way", ["forward", "backward", "both"])
def test_an_export_and_a_run_s_weights_are_read_as_what_they_are(tmp_path, cell, way):
    model = network(cell, way)
    export(model, tmp_path / "m.pt", format="pytorch")
    save_file(model.state_dict(), tmp_path / "m.safetensors", in_header(model))
    for name in ("m.pt", "m.safetensors"):
        got = load_weights(tmp_path / name, readout="readout")
        assert cell_of(got.lstm) == get_cell(cell)
        torch.testing.assert_close(outputs(got), model(X).detach())


@pytest.mark.parametrize(
    "more",
    [{"activation": "softmax"}, {"last_step": True}, {"turned": True}, {"skips": Skips(0.0)},
     {"skips": Skips(1.5, zeros=True), "activation": "tanh"}],
)  # fmt: skip
@pytest.mark.parametrize("way", ["forward", "backward", "both"])
def test_so_is_what_stands_around_it(tmp_path, way, more):
    model, x = network(way=way, **more), X.clone()
    x[0, 2:], x[1, 0] = 0.0, 1.5
    export(model, tmp_path / "m.pt", format="pytorch")
    got = load_weights(tmp_path / "m.pt")
    torch.testing.assert_close(outputs(got, x), model(x).detach())


def test_nothing_is_said_of_a_plain_lstm_and_pytorch_reads_the_file_as_ever(tmp_path):
    plain = SequenceModel(3, 2, 4)
    assert said_of(plain) == {} and in_header(plain) is None
    model = network("gru")
    export(model, tmp_path / "m.pt", format="pytorch")
    state = torch.load(tmp_path / "m.pt", weights_only=True)
    model.load_state_dict(state)
    nn.GRU(3, 4, 2, batch_first=True).load_state_dict({k[5:]: v for k, v in state.items() if k.startswith("lstm.")})


def test_a_layer_s_own_state_dict_says_it_wherever_it_is_in_a_checkpoint(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.ModuleDict({"rnn": GatedRNN(3, 4, batch_first=True, cell="slstm")})
            self.decoder = GatedRNN(3, 4, batch_first=True, cell="lstm_coupled", backward=True)

        def forward(self, x):
            return self.encoder["rnn"](x)[0]

    net = Net()
    for state in ({"epoch": 3, "state_dict": net.state_dict()}, nn.DataParallel(net).state_dict()):
        torch.save(state, tmp_path / "c.ckpt")
        for layer, own in (("rnn", net.encoder["rnn"]), ("decoder", net.decoder)):
            got = load_weights(tmp_path / "c.ckpt", layer=layer)
            torch.testing.assert_close(got.lstm(X)[0], own(X)[0])
    assert "sLSTM" in " ".join(load_weights(tmp_path / "c.ckpt", layer="rnn").notes)


def test_a_file_and_a_user_that_disagree_are_refused_and_so_is_what_is_damaged(tmp_path):
    model = network("slstm")
    export(model, tmp_path / "m.pt", format="pytorch")
    assert load_weights(tmp_path / "m.pt", cell="slstm").lstm.cell.name == "slstm"
    with pytest.raises(InputError, match=r"cell=lstm_coupled: lstm in .* is said to be slstm"):
        load_weights(tmp_path / "m.pt", cell="lstm_coupled")
    for said in ({"lstm": {"cell": 3}}, {"lstm": "slstm"}, {"": {"skips": {"value": "0"}}}, {"": {"activation": "os"}},
                 {"lstm": {"depth": 1}}):  # fmt: skip
        save_file(model.state_dict(), tmp_path / "m.safetensors", {"lstm_probe": json.dumps(said)})
        with pytest.raises(InputError, match="what it says of its layers is damaged, or of a later version"):
            load_weights(tmp_path / "m.safetensors")
    for said in ("{", "[]", "3"):
        save_file(model.state_dict(), tmp_path / "m.safetensors", {"lstm_probe": said})
        with pytest.raises(InputError):
            load_weights(tmp_path / "m.safetensors")


def test_a_cell_that_a_file_names_is_not_imported(tmp_path):
    save_file(network("slstm").state_dict(), tmp_path / "m.safetensors",
              {"lstm_probe": json.dumps({"lstm": {"cell": "antigravity:CELL"}})})  # fmt: skip
    with pytest.raises(InputError, match="a cell of somebody's own: import antigravity first"):
        load_weights(tmp_path / "m.safetensors")


def test_an_activation_that_is_not_known_is_refused():
    from lstm_probe.formats import Imported

    imported = Imported(nn.LSTM(3, 4, batch_first=True), "a file", "lstm", nn.Linear(4, 2), "gelu")
    with pytest.raises(InputError, match=r"activation=gelu: must be one of sigmoid, tanh, .* Did you mean 'elu'"):
        imported.with_activation("gelu")
