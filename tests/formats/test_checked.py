"""What is exported is run elsewhere and compared with the network before it is handed over, or nothing is written."""

import runpy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.formats import Imported, ImportedModel, load_weights
from lstm_probe.formats.imported import ACTIVATIONS, Skips
from lstm_probe.formats.write import checked, export
from lstm_probe.formats.write.checked import checked_export
from lstm_probe.network.model import SequenceModel
from lstm_probe.recorder.backward import BackwardLSTM
from tests.foreign import keras as load_keras
from tests.formats.conftest import consumed

pytest.importorskip("onnx")
pytest.importorskip("h5py")
ENDINGS = {"pytorch": "m.pt", "keras": "m.keras", "onnx": "m.onnx"}
PADS = np.random.default_rng(3).random((4, 7)) < 0.3
PADS[3] = True
TURNED = "format=keras: an LSTM that reads each sequence from its end"
SKIPS = "format=onnx: its LSTM skips no steps"


def lstm(inputs=3, units=5, kind=nn.LSTM, **more):
    return kind(inputs, units, batch_first=True, **more)


def built(kind):
    """A network of a kind, with drawn weights."""
    torch.manual_seed(1)
    two = nn.Linear(10, 2)
    makes = {
        "plain": lambda: SequenceModel(3, 2, 6),
        "layers": lambda: SequenceModel(3, 2, 6, layers=3),
        "projection": lambda: SequenceModel(3, 2, 6, layers=2, projection=4),
        "both": lambda: ImportedModel(lstm(num_layers=2, bidirectional=True), two),
        "both projected": lambda: ImportedModel(
            lstm(num_layers=2, bidirectional=True, proj_size=3), nn.Linear(6, 2, bias=False)
        ),
        "each own end": lambda: ImportedModel(lstm(bidirectional=True), two, last_step=True),
        "bare": lambda: lstm(bias=False),
        "double": lambda: ImportedModel(lstm(num_layers=2).double(), nn.Linear(5, 2).double()),
        "tokens": lambda: ImportedModel(lstm(), nn.Linear(5, 2), nn.Embedding(4, 3)),
        "backward": lambda: ImportedModel(lstm(kind=BackwardLSTM, num_layers=2), nn.Linear(5, 2)),
        "turned": lambda: ImportedModel(lstm(kind=BackwardLSTM, num_layers=2), nn.Linear(5, 2), turned=True),
        "skips": lambda: ImportedModel(lstm(), nn.Linear(5, 2), skips=Skips(-1.0)),
        "skips, zeros": lambda: ImportedModel(lstm(), nn.Linear(5, 2), skips=Skips(0.0, zeros=True)),
        "skips both": lambda: ImportedModel(lstm(bidirectional=True), two, skips=Skips(0.0, zeros=True)),
        "skips to the end": lambda: ImportedModel(lstm(bidirectional=True), two, last_step=True, skips=Skips(0.0)),
        "skips turned": lambda: ImportedModel(lstm(kind=BackwardLSTM), None, skips=Skips(0.0), turned=True),
        "skips tokens": lambda: ImportedModel(lstm(), nn.Linear(5, 2), nn.Embedding(4, 3), skips=Skips(0.0)),
    }
    makes |= {name: lambda name=name: ImportedModel(lstm(), nn.Linear(5, 3), None, name) for name in ACTIVATIONS}
    return makes[kind]().eval(), list(makes)


#: Why a format cannot hold a kind.
REFUSED = {("keras", "backward"): TURNED} | {("onnx", name): SKIPS for name in built("plain")[1] if "skips" in name}


def inputs_of(model):
    drawn = torch.Generator().manual_seed(2)
    if getattr(model, "embedding", None) is not None:
        return torch.randint(0, 4, (4, 7), generator=drawn)
    x = torch.randn(4, 7, 3, generator=drawn)
    skips = getattr(model, "skips", None)
    x[torch.from_numpy(PADS)] = 0.5 if skips is None else skips.value
    return x


def batch_of(x, lengths=None):
    x = x.unsqueeze(-1).float() if x.dim() == 2 else x
    return Batch(x, {}, (), torch.full((len(x),), x.shape[1]) if lengths is None else lengths, {})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("format", ENDINGS)
@pytest.mark.parametrize("kind", built("plain")[1])
def test_every_kind_gives_its_own_outputs_elsewhere_or_is_refused(tmp_path, kind, format):
    model, _ = built(kind)
    x, path = inputs_of(model), tmp_path / ENDINGS[format]
    if (format, kind) in REFUSED:
        with pytest.raises(InputError, match=REFUSED[format, kind]):
            export(model, path, format=format)
        assert not list(tmp_path.iterdir())
        return
    export(model, path, format=format)
    with torch.no_grad():
        want = model(x.double() if kind == "double" else x)
    want = (want[0] if isinstance(want, tuple) else want).numpy()
    given = x.double() if kind == "double" and format != "onnx" else x
    got = consumed(path, format, given)
    own = got["h"] if kind == "bare" and format == "onnx" else got["outputs"]
    if format == "keras" and getattr(model, "last_step", False):
        want = want[:, -1]
    np.testing.assert_allclose(own, want, atol=1e-12 if (kind, format) == ("double", "pytorch") else 2e-6)
    if kind == "double" and format != "onnx":
        assert own.dtype == np.float64
        assert torch.equal(load_weights(path).lstm.weight_hh_l1, model.lstm.weight_hh_l1)


@pytest.mark.parametrize("kind", ["both", "each own end", "backward", "turned", "skips", "skips both", "skips turned"])
def test_a_module_for_pytorch_takes_padded_sequences(tmp_path, kind):
    model, _ = built(kind)
    x, lengths = inputs_of(model), torch.tensor([7, 2, 5, 1])
    export(model, tmp_path / "m.pt", format="pytorch")
    network = runpy.run_path(str(tmp_path / "m.py"))["load"]()
    with torch.no_grad():
        padded, whole = network(x, lengths), model(x, lengths)
        for n, own, one, alone in zip(lengths, padded, whole, x):
            torch.testing.assert_close(own[:n], one[:n], atol=1e-6, rtol=0)
            torch.testing.assert_close(own[:n], network(alone[None, :n])[0], atol=1e-6, rtol=0)


def test_a_file_of_tensors_and_a_module_that_need_pytorch_alone(tmp_path):
    """The state dict goes into modules of PyTorch's, is read back, and the module is imported by its name."""
    model, x = SequenceModel(3, 2, 6, layers=2, projection=4), torch.ones(1, 3, 3)
    made = checked_export(model, batch_of(x), tmp_path / "a-b.pt", format="pytorch")
    assert made.paths == (tmp_path / "a-b.pt", tmp_path / "a_b.py") and made.difference == 0
    assert made.words.startswith("Outputs are the same: run by PyTorch ") and "1, 2 and 3 steps" in made.words
    own = nn.LSTM(3, 6, 2, batch_first=True, proj_size=4)
    weights = torch.load(tmp_path / "a-b.pt", weights_only=True)
    own.load_state_dict({name.removeprefix("lstm."): w for name, w in weights.items() if name.startswith("lstm.")})
    with torch.no_grad():
        torch.testing.assert_close(own(x)[0], model.lstm(x)[0], atol=0, rtol=0)
        torch.testing.assert_close(load_weights(tmp_path / "a-b.pt").model(x), model(x), atol=0, rtol=0)
    code = "import sys, torch, a_b; print(a_b.load()(torch.ones(1, 3, 3))[0, 2, 1].item(), 'lstm_probe' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    value, ours = done.stdout.split()
    with torch.no_grad():
        assert float(value) == pytest.approx(model(x)[0, 2, 1].item(), abs=1e-7) and ours == "False"


def test_it_is_run_in_a_process_that_cannot_have_lstm_probe(tmp_path):
    pytest.importorskip("onnxruntime")
    model, lengths = built("both")[0], torch.tensor([7, 2, 5, 1])
    made = checked_export(model, batch_of(inputs_of(model), lengths), tmp_path / "m.onnx", format="onnx")
    assert made.paths == (tmp_path / "m.onnx",) and 0 < made.difference < 1e-6
    assert "run by onnxruntime 1." in made.words and "4 sequences of 1, 4 and 7 steps" in made.words
    (tmp_path / "m.py").write_text("import lstm_probe")
    said, _ = checked._run(tmp_path / "m.pt", "pytorch", "torch", {})
    assert "import of lstm_probe halted" in said["absent"]


@pytest.mark.slow
def test_keras_is_run_in_a_process_too(tmp_path):
    load_keras()
    model = built("projection")[0]
    made = checked_export(model, batch_of(inputs_of(model)), tmp_path / "m.keras", format="keras")
    assert made.difference < 1e-6 and "run by Keras 3." in made.words


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("format", ENDINGS)
def test_a_weight_that_is_written_wrong_is_found_and_nothing_is_left(tmp_path, monkeypatch, here, format):
    model, path = built("layers")[0], tmp_path / ENDINGS[format]

    def wrong(contents_of):
        def off(module, path, format):
            with torch.no_grad():
                module.lstm.weight_hh_l1[13, 3] += 0.5
                contents = contents_of(module, path, format)
                module.lstm.weight_hh_l1[13, 3] -= 0.5
            return contents

        return off

    monkeypatch.setattr(checked, "contents_of", wrong(checked.contents_of))
    path.write_text("what was there")
    with pytest.raises(InputError, match=rf"format={format}: outputs .* by \d.\de-0[2345] of the largest .*\)(?!: it)"):
        checked_export(model, batch_of(inputs_of(model)), path, format=format)
    assert [p.name for p in tmp_path.iterdir()] == [path.name] and path.read_text() == "what was there"


@pytest.mark.parametrize(("off", "told"), [(9e-6, None), (-9e-6, None), (1.1e-5, "1.1e-05"), (np.nan, "nan")])
def test_the_largest_difference_counts_in_parts_of_the_largest_output(tmp_path, monkeypatch, off, told):
    model, x = built("plain")[0], inputs_of(built("plain")[0])
    with torch.no_grad():
        model.readout.weight *= 100
        steps = {"1": model(x[:, :1]), "4": model(x[:, :4]), "7": model(x)}
    given = {f"{name} outputs": out.numpy().copy() for name, out in steps.items()}
    given["1 outputs"][3, 0, 1] += off * max(float(out.abs().max()) for out in steps.values())
    monkeypatch.setattr(checked, "_run", lambda *_: ({"by": "nobody"}, given))
    if told is None:
        made = checked_export(model, batch_of(x), tmp_path / "m.onnx", format="onnx")
        assert made.difference == pytest.approx(abs(off), rel=0.02)
        return
    with pytest.raises(InputError, match=f"run by nobody, differ from the network's own by {told} of the largest"):
        checked_export(model, batch_of(x), tmp_path / "m.onnx", format="onnx")
    assert not list(tmp_path.iterdir())


def test_h_is_compared_too_where_the_file_gives_it(tmp_path, monkeypatch):
    model, x = built("each own end")[0], torch.ones(2, 1, 3)
    with torch.no_grad():
        given = {"1 outputs": model(x).numpy(), "1 h": model.lstm(x)[0].numpy()}
    monkeypatch.setattr(checked, "_run", lambda *_: ({"by": "nobody"}, given))
    assert checked_export(model, batch_of(x), tmp_path / "m.onnx", format="onnx").difference < 1e-6
    given["1 h"] = -given["1 h"]
    with pytest.raises(InputError, match=r"by 2\.0e\+00 of the largest"):
        checked_export(model, batch_of(x), tmp_path / "m.onnx", format="onnx")


def test_a_network_that_magnifies_rounding_is_named(tmp_path, here):
    model = SequenceModel(3, 2, 32, seed=1)
    with torch.no_grad():
        for weight in model.lstm.parameters():
            weight *= 10
    batch = batch_of(torch.randn(4, 60, 3, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(InputError, match="it magnifies rounding, by itself already to"):
        checked_export(model, batch, tmp_path / "m.onnx", format="onnx")
    assert checked_export(model, batch, tmp_path / "m.pt", format="pytorch").difference == 0


def test_where_a_package_is_missing_another_reads_it_back_and_that_is_said(tmp_path, monkeypatch):
    there = checked.find_spec
    monkeypatch.setattr(checked, "find_spec", lambda name: None if name in ("keras", "onnxruntime") else there(name))
    model = built("both")[0]
    batch = batch_of(inputs_of(model))
    made = checked_export(model, batch, tmp_path / "m.keras", format="keras")
    assert "run by lstm_probe's own reader (keras is not installed)" in made.words and made.difference < 1e-6
    made = checked_export(model, batch, tmp_path / "m.onnx", format="onnx")
    assert "run by the reference evaluator of onnx 1." in made.words and made.difference < 1e-6
    (tmp_path / "m.keras").unlink()
    with pytest.raises(InputError, match=r"cannot be compared \(keras is not installed\), so nothing was written"):
        checked_export(built("projection")[0], batch, tmp_path / "m.keras", format="keras")
    assert not (tmp_path / "m.keras").exists()
    monkeypatch.setattr(checked, "_run", lambda *_: ({"absent": "no backend\nat all"}, {}))
    made = checked_export(model, batch, tmp_path / "m.onnx", format="onnx")
    assert "own reader (onnxruntime is not installed; onnx cannot be used here: no backend)" in made.words
    monkeypatch.setattr(checked, "_run", lambda *_: ({"error": "Fail: no such node"}, {}))
    with pytest.raises(InputError, match=r"format=onnx: onnx does not run the file \(Fail: no such node\)"):
        checked_export(model, batch, tmp_path / "m.onnx", format="onnx")


class Squashed(nn.Module):
    """More than an LSTM and a readout; its head has another name where it is told."""

    def __init__(self, head):
        super().__init__()
        self.lstm, self.head = nn.LSTM(3, 5, batch_first=True), nn.Linear(5, 2)
        if head == "readout":
            self.readout, self.head = self.head, None

    def forward(self, x):
        return (self.head or self.readout)(torch.relu(self.lstm(x)[0]))


@pytest.mark.parametrize(("head", "words"), [("readout", "differ from the network's own by"), ("head", "nothing else")])
def test_a_module_that_does_more_than_what_is_written(tmp_path, here, head, words):
    model = Squashed(head).train()
    with pytest.raises(InputError, match=words):
        checked_export(model, batch_of(torch.randn(4, 7, 3)), tmp_path / "m.pt", format="pytorch")
    assert not list(tmp_path.iterdir()) and model.training and model.lstm.training


def test_dropout_is_no_part_of_what_is_compared(tmp_path, here):
    model = ImportedModel(lstm(num_layers=2, dropout=0.5), nn.Linear(5, 2)).train()
    made = checked_export(model, batch_of(torch.randn(4, 7, 3)), tmp_path / "m.pt", format="pytorch")
    assert made.difference == 0 and model.lstm.training and "dropout=0.5" in (tmp_path / "m.py").read_text()


def test_what_was_read_is_written_with_what_stands_behind_its_readout(tmp_path, here):
    model = built("softmax")[0]
    read = load_weights(export(model, tmp_path / "m.onnx", format="onnx"))
    assert read.activation == "softmax"
    checked_export(read, batch_of(inputs_of(model)), tmp_path / "again.pt", format="pytorch")
    out = consumed(tmp_path / "again.pt", "pytorch", inputs_of(model))["outputs"]
    np.testing.assert_allclose(out.sum(-1), 1, atol=1e-6)
    with pytest.raises(InputError, match=r"Keras: its outputs go through gelu, which is not written; its .model is"):
        export(Imported(read.lstm, "Keras", "lstm", read.readout, "gelu"), tmp_path / "m.pt", format="pytorch")
