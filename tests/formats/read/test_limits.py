"""Small files that claim much: one short error, and never the memory or the time that they ask for."""

import io
import os
import pickle
import struct
import time
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lstm_probe.core.budget import reading
from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights
from lstm_probe.formats.read.torch_claims import check_torch_file

h5py = pytest.importorskip("h5py")
onnx = pytest.importorskip("onnx")
helper, numpy_helper, FLOAT = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT


@pytest.fixture(autouse=True)
def few_bytes_and_seconds():
    """Nothing here takes much processor time or memory of Python's and NumPy's."""
    began = time.process_time()
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e9 and time.process_time() - began < 60


def refused(path, match, **more):
    with pytest.raises(InputError, match=match) as error:
        load_weights(path, **more)
    assert len(error.value.problems) == 1 and len(str(error.value)) < 700


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
        (MEMO, "holds no LSTM's weights"),
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


# ONNX.


def graph_of(*nodes, stored=(), path):
    graph = helper.make_graph(
        list(nodes), "g", [helper.make_tensor_value_info("x", FLOAT, [5, 1, 3])],
        [helper.make_tensor_value_info("y", FLOAT, [5, 1, 1, 4])], list(stored),
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


R = numpy_helper.from_array(np.ones((1, 16, 4), "f4"), "R")
LSTM = helper.make_node("LSTM", ["x", "W", "R"], ["y"], hidden_size=4)


def doubled(n):
    nodes = [helper.make_node("Concat", [f"w{k}", f"w{k}"], [f"w{k + 1}"], axis=1) for k in range(n)]
    return [*nodes, helper.make_node("Identity", [f"w{n}"], ["W"])]


def gathered(n):
    index = numpy_helper.from_array(np.zeros((n, 50), "i8"), "i")
    return [helper.make_node("Gather", ["w0", "i"], ["W"], axis=0)], index


def test_what_an_onnx_graph_computes(tmp_path):
    w0 = numpy_helper.from_array(np.ones((1, 16, 3), "f4"), "w0")
    path = graph_of(*doubled(40), LSTM, stored=[R, w0], path=tmp_path / "concat.onnx")
    refused(path, "Concat takes .* left of max_bytes", max_bytes=10**7)
    wide = numpy_helper.from_array(np.ones((2, 2000), "f4"), "w0")
    nodes, index = gathered(400)
    path = graph_of(*nodes, LSTM, stored=[R, wide, index], path=tmp_path / "gather.onnx")
    refused(path, "Gather takes 160.0 MB", max_bytes=10**8)
    circle = [helper.make_node("Identity", ["a"], ["W"]), helper.make_node("Identity", ["W"], ["a"])]
    refused(graph_of(*circle, LSTM, stored=[R], path=tmp_path / "circle.onnx"), "its W is not stored")
    chain = [helper.make_node("Identity", [f"w{k}"], [f"w{k + 1}"]) for k in range(5000)]
    last = helper.make_node("Identity", ["w5000"], ["W"])
    refused(graph_of(*chain, last, LSTM, stored=[R, w0], path=tmp_path / "chain.onnx"), "recursion")


@pytest.mark.parametrize(("location", "length", "match"), [
    ("pipe", None, "is a pipe or a device"), ("big", None, "takes 2.0 GB"), ("w", 2 * 10**12, "takes 2.0 TB"),
    ("../" * 40 + "dev/zero", None, "is a pipe or a device"), ("nowhere", None, "there is no such file"),
])  # fmt: skip
def test_what_an_onnx_file_keeps_beside_itself(tmp_path, location, length, match):
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "big").open("wb") as file:
        file.truncate(2 * 10**9)
    (tmp_path / "w").write_bytes(bytes(192))
    w = onnx.TensorProto(name="W", data_type=FLOAT, dims=[1, 16, 3], data_location=onnx.TensorProto.EXTERNAL)
    w.external_data.add(key="location", value=location)
    if length:
        w.external_data.add(key="length", value=str(length))
    refused(graph_of(LSTM, stored=[R, w], path=tmp_path / "m.onnx"), match)


# HDF5.


def keras_file(path, change=None):
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        place = file.create_group("layers/lstm/cell/vars")
        for k, shape in enumerate([(3, 16), (4, 16), (16,)]):
            place[str(k)] = rng.normal(size=shape).astype("f4")
        if change is not None:
            change(file, place)
    return path


def replaced(name, shape, **more):
    def change(file, place):
        del place[name]
        place.create_dataset(name, shape, "f4", **more)

    return change


def cycle(file, place):
    file["layers/again"] = file["layers"]


def doubling(file, place):
    below = place
    for k in range(60):
        above = file.create_group(f"level{k}")
        above["a"] = above["b"] = below
        below = above


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (replaced("1", (9000, 36000)), "cell/vars/1 takes 1.3 GB"),
        (replaced("1", (2**31, 2**31), chunks=(1, 4096)), "takes 18446744073.7 GB|takes .* TB"),
        (replaced("0", (3, 10**8), chunks=(3, 4096), compression="gzip"), "takes 1.2 GB"),
        (replaced("2", (16,), external=[("other", 0, 64)]), "keeps its data in another file"),
        (lambda file, place: place.__setitem__("3", h5py.SoftLink("/layers")), "link to elsewhere"),
        (lambda file, place: place.__setitem__("3", place["0"]), "the same object as another"),
    ],
)  # fmt: skip
def test_what_an_hdf5_file_claims(tmp_path, change, match):
    refused(keras_file(tmp_path / "m.weights.h5", change), match)


@pytest.mark.parametrize("change", [None, cycle, doubling])
def test_links_in_a_circle_come_to_an_end(tmp_path, change):
    path = keras_file(tmp_path / "m.weights.h5", change)
    if change is None:
        assert load_weights(path).lstm.hidden_size == 4
    else:
        refused(path, "the same object as another of the file's: not read")


HANGS = sorted(Path(__file__).parent.glob("data/*.h5"))


@pytest.mark.parametrize("path", HANGS, ids=lambda path: path.stem)
def test_files_that_hang_inside_libhdf5(path):
    assert HANGS
    refused(path, "is damaged, or made to be slow: not read within 2 s|fails on it")


def test_a_weights_file_that_fits_needs_the_optimiser_least_of_all(tmp_path):
    def change(file, place):
        file.create_group("optimizer/vars")["0"] = h5py.ExternalLink("nowhere", "/")
        file["optimizer/vars"].create_dataset("1", (10**6, 10**6), "f4", chunks=(1, 4096))

    assert load_weights(keras_file(tmp_path / "m.weights.h5", change)).lstm.hidden_size == 4


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
