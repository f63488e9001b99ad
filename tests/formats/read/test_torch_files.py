"""Whole checkpoints: what stands beside the weights is left alone, and what is refused says what was found."""

import argparse
import collections
import datetime
import enum
import functools
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.fc = nn.LSTM(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.fc(self.lstm(x)[0])


class Settings(dict):
    """As Lightning's AttributeDict."""


class Colour(enum.Enum):
    RED = 1


CALLED = []


def call(word):
    CALLED.append(word)


class Called:
    def __reduce__(self):
        return (call, ("called",))


OBJECTS = {
    "NumPy scalars": [np.float64(1.5), np.float32(2), np.int64(3), np.bool_(True), np.str_("a")],
    "NumPy arrays and types": [np.arange(3), np.dtype("f4"), np.array(["a"])],
    "settings": [argparse.Namespace(a=1, b=np.float64(2)), Settings(units=6, more=[1, 2])],
    "collections": [collections.deque([1, 2]), collections.defaultdict(list, {1: [2]}), collections.Counter("aab")],
    "other objects": [Path("/tmp"), functools.partial(max, 1), Colour.RED, datetime.timedelta(1), {1, 2}],
    "what would run": [Called()],
}


@pytest.mark.parametrize("what", OBJECTS)
@pytest.mark.parametrize("first", [True, False])
def test_objects_beside_the_weights_are_never_made(tmp_path, what, first):
    CALLED.clear()
    net = Net()
    parts = [("state_dict", net.state_dict()), ("hyper_parameters", OBJECTS[what])]
    torch.save(dict(parts if first else parts[::-1]), tmp_path / "m.ckpt")
    got = load_weights(tmp_path / "m.ckpt")
    assert got.name == "state_dict.lstm" and not CALLED
    assert torch.equal(got.lstm.weight_hh_l0, net.lstm.weight_hh_l0)
    assert torch.equal(got.readout.weight, net.fc.weight)


def test_numpy_scalars_in_files_of_the_old_format(tmp_path):
    content = {"model": Net().state_dict(), "best": np.float64(0.5)}
    torch.save(content, tmp_path / "m.pt", _use_new_zipfile_serialization=False)
    assert load_weights(tmp_path / "m.pt").name == "model.lstm"


def test_a_checkpoint_as_lightning_writes_it(tmp_path):
    net = Net()
    optimiser = torch.optim.Adam(net.parameters())
    net(torch.ones(2, 1, 4)).sum().backward()
    optimiser.step()
    content = {
        "epoch": 3, "global_step": np.int64(7), "pytorch-lightning_version": "2.6", "state_dict": net.state_dict(),
        "loops": {"fit_loop": {"state_dict": {}}}, "optimizer_states": [optimiser.state_dict()], "lr_schedulers": [],
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(0.5), "dirpath": "x"}},
        "hparams_name": "kwargs", "hyper_parameters": Settings(cfg=argparse.Namespace(path=Path("x"))),
    }  # fmt: skip
    torch.save(content, tmp_path / "m.ckpt")
    got = load_weights(tmp_path / "m.ckpt")
    x = torch.randn(2, 5, 4)
    with torch.no_grad():
        torch.testing.assert_close(got.model(x), net(x.transpose(0, 1)).transpose(0, 1))


def test_a_policy_as_stable_baselines3_writes_it(tmp_path):
    policy = nn.ModuleDict({"action_net": nn.Linear(6, 2), "lstm_actor": nn.LSTM(4, 6), "lstm_critic": nn.LSTM(4, 6)})
    with zipfile.ZipFile(tmp_path / "ppo.zip", "w") as archive:
        for name, content in (("policy", policy.state_dict()), ("policy.optimizer", {}), ("pytorch_variables", None)):
            with io.BytesIO() as file:
                torch.save(content, file)
                archive.writestr(f"{name}.pth", file.getvalue())
        archive.writestr("data", "{}")
        archive.writestr("_stable_baselines3_version", "2.9.2")
    with pytest.raises(InputError, match="2 LSTM layers, lstm_actor and lstm_critic"):
        load_weights(tmp_path / "ppo.zip")
    got = load_weights(tmp_path / "ppo.zip", layer="lstm_critic", readout="action_net")
    assert torch.equal(got.lstm.weight_ih_l0, policy["lstm_critic"].weight_ih_l0)
    assert torch.equal(got.readout.bias, policy["action_net"].bias)


def test_names_that_wrappers_change(tmp_path):
    net = Net()
    for wrap in ("module.{}", "_orig_mod.{}", "module._orig_mod.{}", "model._fsdp_wrapped_module.{}"):
        torch.save({wrap.format(k): v for k, v in net.state_dict().items()}, tmp_path / "m.pt")
        got = load_weights(tmp_path / "m.pt", layer="lstm")
        assert torch.equal(got.readout.weight, net.fc.weight) and "_orig_mod" not in got.name
    parts = {k.replace("lstm.", "lstm._orig_mod."): v for k, v in net.state_dict().items()}
    torch.save(parts, tmp_path / "m.pt")
    got = load_weights(tmp_path / "m.pt", layer="lstm._orig_mod", readout="fc")
    assert got.name == "lstm" and load_weights(tmp_path / "m.pt").readout is not None


def test_what_is_there_twice_is_read_once_and_copies_are_told_apart(tmp_path):
    state = Net().state_dict()
    torch.save({"model": state, "same": state, "all": {"deep": state}}, tmp_path / "m.pt")
    assert load_weights(tmp_path / "m.pt").name == "model.lstm"
    torch.save({"model": state, "ema": {k: v.clone() for k, v in state.items()}}, tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"layer=model\.lstm or layer=ema\.lstm"):
        load_weights(tmp_path / "m.pt")


@pytest.mark.filterwarnings("ignore")
def test_quantised_layers_say_so(tmp_path):
    quantised = torch.ao.quantization.quantize_dynamic(Net(), {nn.LSTM}, dtype=torch.qint8)
    for content in (quantised.state_dict(), quantised):
        torch.save(content, tmp_path / "m.pt")
        with pytest.raises(InputError, match="holds a quantised or scripted layer"):
            load_weights(tmp_path / "m.pt")
    state = nn.LSTM(4, 6).state_dict()
    state["weight_hh_l0"] = torch.quantize_per_tensor(state["weight_hh_l0"], 0.1, 0, torch.qint8)
    torch.save(state, tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"weight_hh_l0 is quantised \(qint8\): not read"):
        load_weights(tmp_path / "m.pt")


@pytest.mark.filterwarnings("ignore")
def test_programs_and_whole_modules_say_how_to_save_their_weights(tmp_path):
    torch.jit.save(torch.jit.script(nn.Sequential(nn.LSTM(4, 6))), str(tmp_path / "s.pt"))
    with pytest.raises(InputError, match=r"TorchScript archive, which holds code.* torch\.save\(model\.state_dict"):
        load_weights(tmp_path / "s.pt")
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),)), tmp_path / "e.pt2")
    with zipfile.ZipFile(tmp_path / "of_2_6.pt2", "w") as archive:
        for name in ("serialized_exported_program.json", "serialized_state_dict.pt", "version"):
            archive.writestr(name, b"")
    for name in ("e.pt2", "of_2_6.pt2"):
        with pytest.raises(InputError, match=r"exported program \(.pt2\)"):
            load_weights(tmp_path / name)
    for content in (Net(), {"model": Net()}, [Net()], nn.LSTM(4, 6)):
        torch.save(content, tmp_path / "m.pt")
        with pytest.raises(InputError, match=r"whole module .*: never loaded\. Save the weights alone: torch\.save"):
            load_weights(tmp_path / "m.pt")


class Head(nn.Module):
    def __init__(self, *layers, **named):
        super().__init__()
        for name, layer in named.items():
            setattr(self, name, layer)


def lstm(inputs=4, units=6, **kwargs):
    return nn.LSTM(inputs, units, **kwargs)


NONE = {
    "a two-layer head": lambda: Head(lstm=lstm(), head=nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 3))),
    "a head of its own": lambda: Head(lstm=lstm(), head=nn.Sequential(nn.Dropout(), nn.Linear(6, 3))),
    "in front": lambda: Head(project_in=nn.Linear(6, 6), lstm=lstm(6), out=nn.Conv1d(6, 2, 1)),
    "in front, and nothing else": lambda: Head(project_in=nn.Linear(6, 6), lstm=lstm(6)),
    "in front, of another width": lambda: Head(proj_in=nn.Linear(6, 4), lstm=lstm(4)),
    "in front and behind": lambda: Head(project_in=nn.Linear(6, 6), lstm=lstm(6), fc=nn.Linear(6, 2)),
    "a norm between": lambda: Head(lstm=lstm(), norm=nn.LayerNorm(6), fc=nn.Linear(6, 3)),
    "a batch norm between": lambda: Head(lstm=lstm(), norm=nn.BatchNorm1d(6), fc=nn.Linear(6, 3)),
    "a convolution between": lambda: Head(lstm=lstm(), conv=nn.Conv1d(6, 6, 1), fc=nn.Linear(6, 3)),
    "not the last": lambda: Head(lstm=lstm(), fc=nn.Linear(6, 3), last=nn.Linear(3, 1)),
    "two of them": lambda: Head(lstm=lstm(), policy=nn.Linear(6, 3), value=nn.Linear(6, 1)),
    "another LSTM behind": lambda: Head(lstm=lstm(), gru=nn.GRU(6, 6), fc=nn.Linear(6, 3)),
    "an attention between": lambda: Head(lstm=lstm(), attend=nn.MultiheadAttention(6, 1), fc=nn.Linear(6, 3)),
    "a table without a name": lambda: Head(lstm=lstm(), words=nn.Embedding(9, 6)),
    "a vector of its own": lambda: Head(lstm=lstm(), h0=nn.Parameter(torch.zeros(1, 1, 6)), fc=nn.Linear(6, 3)),
    "a bilinear layer": lambda: Head(lstm=lstm(), fc=nn.Bilinear(6, 6, 3)),
    "a decoder's": lambda: Head(lstm=lstm(), decoder=Head(fc=nn.Linear(6, 7))),
}


@pytest.mark.parametrize("kind", ["m.pt", "m.safetensors"])
@pytest.mark.parametrize("what", NONE)
def test_a_layer_that_may_be_anything_else_is_no_readout(tmp_path, what, kind):
    module = NONE[what]()
    (save_file if kind.endswith("safetensors") else torch.save)(module.state_dict(), tmp_path / kind)
    got = load_weights(tmp_path / kind)
    assert got.readout is None and any(note.startswith("no readout taken: ") for note in got.notes)
    fits = [name for name, each in module.named_modules() if isinstance(each, nn.Linear) and each.in_features == 6]
    for name in fits:
        if "attend" in name:
            continue
        told = load_weights(tmp_path / kind, readout=name)
        assert torch.equal(told.readout.weight, module.get_submodule(name).weight) and f"readout {name}: as told" in (
            told.notes
        )


@pytest.mark.parametrize("kind", ["m.pt", "m.safetensors"])
def test_what_can_hardly_be_anything_else_is_the_readout(tmp_path, kind):
    modules = [
        Head(lstm=lstm(), fc=nn.Linear(6, 3)),
        Head(embed=nn.Embedding(9, 4), rnn=lstm(num_layers=2), fc=nn.Linear(6, 2)),
        Head(rnn=lstm(), head=nn.Linear(6, 4)),
        Head(rnn=lstm(bidirectional=True), out=nn.Linear(12, 1)),
        Head(net=Head(rnn=lstm(proj_size=2), out=nn.Linear(2, 5))),
    ]
    for module in modules:
        (save_file if kind.endswith("safetensors") else torch.save)(module.state_dict(), tmp_path / kind)
        got = load_weights(tmp_path / kind)
        (want,) = (each for each in module.modules() if isinstance(each, nn.Linear))
        assert torch.equal(got.readout.weight, want.weight) and torch.equal(got.readout.bias, want.bias)


def test_a_readout_of_another_name_or_width_is_refused(tmp_path):
    torch.save(Head(lstm=lstm(), fc=nn.Linear(6, 3), last=nn.Linear(3, 1)).state_dict(), tmp_path / "m.pt")
    for wanted in ("last", "nothing", "lstm"):
        with pytest.raises(InputError, match=f"readout={wanted}: no linear layer of h's width 6; there is fc"):
            load_weights(tmp_path / "m.pt", readout=wanted)
    torch.save({"rnn": nn.LSTM(4, 6).state_dict(), "head": nn.Linear(6, 2).state_dict()}, tmp_path / "m.pt")
    assert load_weights(tmp_path / "m.pt").readout is None
    assert load_weights(tmp_path / "m.pt", readout="head").readout.out_features == 2


@pytest.mark.parametrize("length", [640, 0x93 + 0x14500, int.from_bytes(b"PK", "little"), 0x808, 0x20A, 0x489])
def test_a_safetensors_file_whose_length_looks_like_another_kinds_signature(tmp_path, length):
    module = nn.LSTM(2, 3)
    save_file(module.state_dict(), tmp_path / "m.safetensors")
    whole = (tmp_path / "m.safetensors").read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    header = whole[8:end].ljust(length)  # spaces after it are its own way to end at a round address
    assert len(header) == length
    (tmp_path / "m.safetensors").write_bytes(length.to_bytes(8, "little") + header + whole[end:])
    assert torch.equal(load_weights(tmp_path / "m.safetensors").lstm.weight_hh_l0, module.weight_hh_l0)


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_weights_of_every_layout_are_read_as_what_they_stand_for(tmp_path, layout):
    lstm, x = nn.LSTM(3, 4, batch_first=True), torch.randn(2, 5, 3)
    kept = {name: values * (values > 0) for name, values in lstm.state_dict().items()}
    lstm.load_state_dict(kept)
    sparse = {name: values.to_sparse(layout=layout) if values.dim() == 2 else values for name, values in kept.items()}
    torch.save(sparse, tmp_path / "m.pt")
    torch.testing.assert_close(load_weights(tmp_path / "m.pt").lstm(x)[0], lstm(x)[0])


@pytest.mark.filterwarnings("ignore:Sparse")
def test_a_sparse_bomb_of_compressed_rows_is_refused(tmp_path):
    rows, columns = 400_000, 100_000
    bomb = torch.sparse_csr_tensor(torch.zeros(rows + 1, dtype=torch.long), torch.zeros(0, dtype=torch.long),
                                   torch.zeros(0), (rows, columns))  # fmt: skip
    torch.save({"weight_ih_l0": bomb, "weight_hh_l0": bomb}, tmp_path / "m.pt")
    with pytest.raises(InputError) as told:
        load_weights(tmp_path / "m.pt")
    assert "damaged" not in str(told.value)
