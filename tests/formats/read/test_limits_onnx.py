"""Small ONNX files that claim much: one short error, and never the memory or the time that they ask for."""

import os

import numpy as np
import pytest

from tests.formats.read.limits import few_bytes_and_seconds, refused  # noqa: F401  a fixture of every test here

onnx = pytest.importorskip("onnx")
helper, numpy_helper, FLOAT = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT


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
