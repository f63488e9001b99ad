"""Small files that claim much: one short error, and never the memory or the time that they ask for."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lstm_probe.core.budget import reading
from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights
from lstm_probe.formats.read.torch_claims import check_torch_file
from tests.formats.read.limits import few_bytes_and_seconds, refused  # noqa: F401  a fixture of every test here


def state(units=4):
    return OrderedDict(nn.LSTM(3, units).state_dict())


# What torch believes of a pickle.


class Made:
    """Pickled as a call of something: `what` with `given`."""

    def __init__(self, what, *given):
        self.made = what, given

    def __reduce__(self):
        return self.made


class Storage:
    """Pickled as a storage of so many elements."""

    def __init__(self, key, count, kind=torch.FloatStorage):
        self.pid = ("storage", kind, key, "cpu", count)


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, Storage) else None


def write_torch(path, content, data=None, packing=zipfile.ZIP_STORED):
    """Write a checkpoint as torch.save does, but with any content and data."""
    pickled = content
    if not isinstance(content, bytes):
        stream = io.BytesIO()
        Pickler(stream, 2).dump(content)
        pickled = stream.getvalue()
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("m/data.pkl", pickled)
        archive.writestr("m/byteorder", "little")
        archive.writestr("m/version", "3\n")
        for key, values in (data or {}).items():
            archive.writestr(f"m/data/{key}", values)
    return path


def tensor(key, count, shape, strides=None, kind=torch.FloatStorage):
    strides = strides or tuple(int(np.prod(shape[k + 1 :])) for k in range(len(shape)))
    build = torch._utils._rebuild_tensor_v2
    return Made(build, Storage(key, count, kind), 0, shape, strides, False, OrderedDict())


def lstm_of(weight):
    """Return a state dict whose input weights are this."""
    own = {f"{name}_l0": tensor(name, n, shape) for name, n, shape in SMALL[1:]}
    return {"weight_ih_l0": weight, **own}


SMALL = [("weight_ih", 48, (16, 3)), ("weight_hh", 64, (16, 4)), ("bias_ih", 16, (16,)), ("bias_hh", 16, (16,))]
DATA = {name: np.arange(n, dtype="f4").tobytes() for name, n, _ in SMALL}


def test_a_checkpoint_written_by_hand_is_read(tmp_path):
    path = write_torch(tmp_path / "m.pt", lstm_of(tensor("weight_ih", 48, (16, 3))), DATA)
    got = load_weights(path).lstm
    assert torch.equal(got.weight_ih_l0, torch.arange(48.0).view(16, 3)) and got.hidden_size == 4


def laughs(deep, of=dict):
    part = of(a=tensor("weight_ih", 48, (16, 3)))
    for _ in range(deep):
        part = of(a=part, b=part)
    return part


def circle():
    part = {"weight_ih_l0": tensor("weight_ih", 48, (16, 3))}
    part["again"] = part
    return part


MEMO = b"\x80\x02}r\xff\xff\xff\x7f."  # puts an empty dict into the place 2**31 - 1 of the memo


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (lstm_of(tensor("weight_ih", 48, (80_000, 20_000), (0, 0))), r"shape \(80000, 20000\) takes 6.4 GB"),
        (lstm_of(tensor("weight_ih", 48, (10**9, 3), (0, 1))), "takes 12.0 GB"),
        ({"a": Made(torch._utils._rebuild_sparse_tensor, torch.sparse_coo, (
            tensor("weight_ih", 4, (2, 2), kind=torch.LongStorage), tensor("bias_ih", 2, (2,)), torch.Size([10**6] * 2)
        ))}, "takes 4.0 TB"),
        ({"a": Made(bytearray, 10**11)}, "takes 400.0 GB"),
        ({"a": Made(torch.FloatTensor, 10**6, 10**6)}, "takes 4.0 TB"),
        (lstm_of(tensor("weight_ih", 10**6, (16, 3))), "weight_ih has 192 bytes, 4000000 are claimed"),
        (lstm_of(tensor("nowhere", 48, (16, 3))), "nowhere has 0 bytes, 192 are claimed"),
        (lstm_of(tensor("weight_ih", -1, (16, 3))), "is damaged: -1 elements of a FloatStorage"),
        (laughs(60), "no end"),
        (laughs(60, OrderedDict), "no end"),
        (b"\x80\x02" + b"}X\x01\0\0\0a" * 5000 + b"}" + b"s" * 5000 + b".", "recursion"),
        (circle(), "no end"),
        (MEMO, "holds no recurrent layer's weights"),
    ],
)  # fmt: skip
def test_what_a_checkpoint_claims(tmp_path, content, match):
    refused(write_torch(tmp_path / "m.pt", content, DATA), match)


@pytest.mark.parametrize("claimed", [17, 10**12])
def test_what_an_old_checkpoint_claims(tmp_path, claimed):
    own = state()
    torch.save(own, tmp_path / "m.pt", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "m.pt").read_bytes()
    count = b"X\x03\x00\x00\x00cpuq"
    at = whole.rindex(count) + len(count) + 1
    assert whole[at : at + 2] == b"K0"  # 48 elements of the first weight
    more = pickle.dumps(claimed, 2)[2:-1]
    (tmp_path / "m.pt").write_bytes(whole[:at] + more + whole[at + 2 :])
    if claimed > 48:
        refused(tmp_path / "m.pt", "bytes, and claims 4000000000384")
    else:  # torch goes by what stands before the elements themselves
        assert torch.equal(load_weights(tmp_path / "m.pt").lstm.weight_ih_l0, own["weight_ih_l0"])


def test_a_checkpoint_inside_an_archive_is_checked_too(tmp_path):
    path = write_torch(tmp_path / "m.pt", lstm_of(tensor("weight_ih", 10**6, (16, 3))), DATA)
    inside = io.BytesIO(path.read_bytes())
    with reading("path=outer.zip", 0), pytest.raises(InputError, match=r"path=outer.zip: .* 4000000 are claimed"):
        check_torch_file(path, inside)
    inside = io.BytesIO()
    torch.save(state(), inside, _use_new_zipfile_serialization=False)
    inside.seek(0)
    with reading("path=outer.zip", 0):
        check_torch_file(path, inside)
    assert torch.load(inside, weights_only=True).keys() == state().keys()


def test_tied_and_expanded_tensors_that_fit_are_read(tmp_path):
    module = nn.ModuleDict({"a": nn.LSTM(3, 4), "b": nn.LSTM(3, 4)})
    module["b"] = module["a"]
    weights = {f"{name}.{key}": value for name in "ab" for key, value in module["a"].state_dict().items()}
    weights["b.bias_ih_l0"] = torch.zeros(1).expand(16)
    torch.save(weights, tmp_path / "m.pt")
    got = load_weights(tmp_path / "m.pt", layer="b").lstm
    assert torch.equal(got.weight_hh_l0, module["a"].weight_hh_l0) and not got.bias_ih_l0.any()


# Archives.


@pytest.mark.parametrize("ending", ["pt", "npz", "keras"])
def test_archives_are_checked(tmp_path, ending):
    def written(path, **more):
        write_torch(path, {}, DATA, **more) if ending == "pt" else None
        if ending != "pt":
            with zipfile.ZipFile(path, "w", more.get("packing", zipfile.ZIP_STORED)) as archive:
                name = "config.json" if ending == "keras" else "a/lstm_cell/kernel.npy"
                archive.writestr(name, b'{"weights": [0]}' * 99)
        return path

    whole = written(tmp_path / f"whole.{ending}").read_bytes()
    at = whole.index(DATA["bias_ih"][8:]) if ending == "pt" else whole.index(b"weights")
    (tmp_path / f"flip.{ending}").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    refused(tmp_path / f"flip.{ending}", "checksum or its size is wrong")
    refused(written(tmp_path / f"lzma.{ending}", packing=zipfile.ZIP_LZMA), "packed in an unusual way")
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(tmp_path / f"flip.{ending}", "a") as archive,
    ):
        archive.writestr(archive.namelist()[0], b"other")
    refused(tmp_path / f"flip.{ending}", "a member is there twice")


@pytest.mark.parametrize("ending", ["pt", "npz", "keras"])
def test_archives_that_unpack_to_much(tmp_path, ending):
    path = tmp_path / f"bomb.{ending}"
    names = {"pt": ["m/data.pkl", "m/data/0"], "npz": ["a.npy", "b.npy"], "keras": ["config.json", "model.weights.h5"]}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names[ending]:
            archive.writestr(name, bytes(6_000_000))
    assert path.stat().st_size < 20_000
    refused(path, "its 2 members, unpacked, takes? 12.0 MB; 10.0 MB are left of max_bytes=10000000", max_bytes=10**7)


@pytest.mark.parametrize("shape", [(10**6, 10**6), (2**40,), (4, 5), ()])
def test_what_an_npy_claims(tmp_path, shape):
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + bytes(16)
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("rnn/lstm_cell/kernel.npy", data)
    refused(tmp_path / "m.npz", "bytes are not an array of shape")


# Any kind of file.


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.onnx", "m.pt", "m.safetensors", "m.npz"])
def test_what_is_no_file_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / name)
    refused(tmp_path / name, "is a pipe or a device; must be a file")
    (tmp_path / f"link-{name}").symlink_to("/dev/zero")
    refused(tmp_path / f"link-{name}", "is a pipe or a device; must be a file")


def test_the_budget_counts_what_is_made_of_a_file(tmp_path):
    weights = nn.LSTM(3, 600).state_dict()
    size = sum(value.nbytes for value in weights.values())
    save_file(weights, tmp_path / "m.safetensors")
    torch.save(weights, tmp_path / "m.pt")
    for path in (tmp_path / "m.safetensors", tmp_path / "m.pt"):
        assert load_weights(path, max_bytes=4 * size).lstm.hidden_size == 600
        refused(path, "left of max_bytes", max_bytes=2 * size)
    with pytest.raises(
        InputError, match=r"m.pt: a tensor of .* takes .*; .* left of max_bytes=1000000, which may be raised"
    ):
        load_weights(tmp_path / "m.pt", max_bytes=10**6)
