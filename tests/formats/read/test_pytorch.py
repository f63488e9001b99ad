"""PyTorch state dicts and safetensors; pickles that hold more are never loaded."""

import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights


class Tagger(nn.Module):
    def __init__(self, both=False, projection=0):
        super().__init__()
        self.embed = nn.Embedding(9, 3)
        self.rnn = nn.LSTM(3, 5, 2, bidirectional=both, proj_size=projection)
        self.head = nn.Linear((projection or 5) * (1 + both), 2)


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("made-by-a-pickle"),))


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("projection", [0, 2])
@pytest.mark.parametrize("kind", ["nested.pt", "old.pt", "plain.safetensors"])
def test_a_state_dict_comes_back_whole(tmp_path, both, projection, kind):
    module = Tagger(both, projection).eval()
    path = tmp_path / kind
    if kind == "nested.pt":
        torch.save({"epoch": 3, "model": module.state_dict(), "optimizer": {"state": {}}}, path)
    elif kind == "old.pt":
        torch.save(module.state_dict(), path, _use_new_zipfile_serialization=False)
    else:
        save_file(module.state_dict(), path)
    got = load_weights(path)
    assert not got.lstm.training
    tokens = torch.randint(0, 9, (4, 6))
    with torch.no_grad():
        want = module.head(module.rnn(module.embed(tokens).transpose(0, 1))[0].transpose(0, 1))
        torch.testing.assert_close(got.model(tokens), want)
    assert got.name.endswith("rnn") and got.lstm.batch_first and not got.lstm.training


def test_lstm_cells_half_precision_and_no_bias(tmp_path):
    module = nn.ModuleDict({"cell": nn.LSTMCell(3, 4, bias=False)}).to(torch.bfloat16)
    torch.save(module.state_dict(), tmp_path / "m.pt")
    got = load_weights(tmp_path / "m.pt")
    assert got.lstm.weight_hh_l0.dtype == torch.float32 and not got.lstm.bias
    assert torch.equal(got.lstm.weight_ih_l0, module["cell"].weight_ih.float())
    assert got.readout is None and any("none have h's width 4" in note for note in got.notes)
    torch.save(nn.LSTM(3, 4, dtype=torch.float64).state_dict(), tmp_path / "d.pt")
    assert load_weights(tmp_path / "d.pt").lstm.weight_ih_l0.dtype == torch.float64


def test_several_lstms_have_to_be_chosen_from(tmp_path):
    module = nn.ModuleDict({"encoder": nn.LSTM(3, 4), "decoder": nn.LSTM(3, 6), "gate": nn.GRU(3, 4)})
    torch.save(module.state_dict(), tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"2 LSTM layers, encoder and decoder; say which with layer=encoder or"):
        load_weights(tmp_path / "m.pt")
    assert load_weights(tmp_path / "m.pt", layer="decoder").lstm.hidden_size == 6
    with pytest.raises(InputError, match=r"layer=decodr: .* Did you mean 'decoder'"):
        load_weights(tmp_path / "m.pt", layer="decodr")


def test_pickles_are_never_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(Tagger(), tmp_path / "whole.pt")
    torch.save({"w": Evil()}, tmp_path / "evil.pt")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "evil0.pkl").write_bytes(pickle.dumps(Evil(), protocol=0))
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("m/code/__torch__.py", "raise SystemExit")
        archive.writestr("m/data.pkl", "")
    for name, words in [
        ("whole.pt", r"a whole module \(.*Tagger\), not its weights alone: never loaded.*state_dict"),
        ("evil.pt", "never loaded"),
        ("evil.pkl", "Python pickle, which can run any code: never loaded"),
        ("evil0.pkl", "not a supported kind of file"),
        ("script.pt", "TorchScript archive, which holds code: never loaded"),
    ]:
        with pytest.raises(InputError, match=words) as error:
            load_weights(tmp_path / name)
        assert len(str(error.value).splitlines()) <= 2
    assert not Path("made-by-a-pickle").exists()


def test_files_of_no_use(tmp_path):
    (tmp_path / "empty.keras").write_bytes(b"")
    (tmp_path / "text.onnx").write_text("hello, this is no model at all\n" * 9)
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "zip.keras").write_bytes(b"PK\x03\x04 not a zip")
    (tmp_path / "head.safetensors").write_bytes((40).to_bytes(8, "little") + b"{" + b"x" * 60)
    np.save(tmp_path / "one.npy", np.ones(3))
    with zipfile.ZipFile(tmp_path / "docs.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    torch.save({}, tmp_path / "none.pt")
    for name, words in [
        ("empty.keras", "is empty"),
        ("text.onnx", "cannot be read as ONNX|no ONNX model|needs onnx"),
        ("text.txt", "not a supported kind of file, or damaged; supported are Keras"),
        ("zip.keras", "damaged or truncated archive"),
        ("head.safetensors", "cannot be read as safetensors"),
        ("one.npy", "is one NumPy array"),
        ("docs.zip", "is an archive, but not of a supported kind"),
        ("none.pt", "holds no recurrent layer's weights .*it has none"),
        ("missing.pt", "no such file"),
        (".", "is a folder"),
    ]:
        with pytest.raises(InputError, match=words) as error:
            load_weights(tmp_path / name)
        assert len(str(error.value).splitlines()) <= 2


def test_damaged_and_inconsistent_weights(tmp_path):
    state = nn.LSTM(3, 4).state_dict()
    torch.save(state, tmp_path / "m.pt")
    whole = (tmp_path / "m.pt").read_bytes()
    for share in (0.1, 0.5, 0.9):
        (tmp_path / "cut.pt").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError):
            load_weights(tmp_path / "cut.pt")
    for key, value, words in [
        ("weight_hh_l0", torch.zeros(16, 5), "unknown kind|do not"),
        ("bias_hh_l0", torch.zeros(15), r"bias_hh of shape \(15,\)"),
        ("bias_ih_l0", torch.full((16,), float("inf")), "not finite"),
        ("weight_ih_l0", torch.zeros(16, 3, dtype=torch.int8), "type int8"),
    ]:
        torch.save(state | {key: value}, tmp_path / "odd.pt")
        with pytest.raises(InputError, match=words):
            load_weights(tmp_path / "odd.pt")
    torch.save({k: v for k, v in state.items() if k != "bias_hh_l0"}, tmp_path / "odd.pt")
    with pytest.raises(InputError, match=r"lacks some of the weights that go with it"):
        load_weights(tmp_path / "odd.pt")
    with pytest.raises(InputError, match=r"forget_bias=1.0: only TensorFlow 1 cells"):
        load_weights(tmp_path / "m.pt", forget_bias=1.0)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize(
    ("missing", "first"),
    [(r".*_l1.*", "weight_ih_l2"), (r"weight_ih_l[12]", "weight_hh_l1"),
     (r"weight_ih_l\d_reverse", "weight_hh_l0_reverse"),
     (r".*_l0_reverse|.*_l1|.*_l1_reverse", "weight_ih_l2"), (r"weight_ih_l1_reverse|.*_l2.*", None)],
)  # fmt: skip
def test_layers_and_directions_that_are_there_in_part(tmp_path, kind, missing, first):
    state = kind(3, 5, 3, bidirectional=True).state_dict()
    torch.save({f"net.{k}": v for k, v in state.items() if not re.fullmatch(missing, k)}, tmp_path / "m.pt")
    words = f"net: is incomplete: has {first}, but not all" if first else "layers with one and with two directions"
    with pytest.raises(InputError, match=words):
        load_weights(tmp_path / "m.pt")


def test_state_dicts_in_lists_and_weights_without_values(tmp_path):
    one, other = (nn.LSTM(3, 5) for _ in range(2))
    torch.save([one.state_dict(), ("ema", {"net": other.state_dict()})], tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"2 LSTM layers, 0 and 1\.1\.net"):
        load_weights(tmp_path / "m.pt")
    for name, lstm in (("0", one), ("1.1.net", other)):
        got = load_weights(tmp_path / "m.pt", layer=name).lstm
        assert all(torch.equal(value, lstm.state_dict()[key]) for key, value in got.state_dict().items())
    torch.save(nn.LSTM(3, 5, device="meta").state_dict(), tmp_path / "m.pt")
    with pytest.raises(InputError, match="weight_ih_l0 is on the meta device"):
        load_weights(tmp_path / "m.pt")
