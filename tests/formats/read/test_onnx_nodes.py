"""LSTM nodes as files have them: in bodies, reversed, stacked, quantised, with states; against onnxruntime."""

import numpy as np
import pytest
import torch
from torch import nn

from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights
from lstm_probe.recorder.backward import BackwardLSTM
from tests.onnx_nets import (
    FLOAT,
    B,
    H,
    Net,
    T,
    every_step,
    helper,
    normal,
    numpy_helper,
    onnx,
    ours,
    run,
    why,
)  # fmt: skip


def info(name, shape=None, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def save(path, graph, opset=17):
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), str(path))
    return path


def stored_of(net):
    return [numpy_helper.from_array(a, n) for n, a in net.stored.items()]


def h_of(got, x):
    """Return h (time, direction, sequence, unit) of an imported LSTM on inputs with time first."""
    with torch.no_grad():
        shown = got.lstm(torch.from_numpy(x.transpose(1, 0, 2)))[0].numpy()
    return shown.transpose(1, 0, 2).reshape(len(x), x.shape[1], -1, H).transpose(0, 2, 1, 3)


def in_an_if(net, path):
    other = helper.make_graph([helper.make_node("Identity", ["X"], ["other"])], "no", [], [info("other")])
    body = helper.make_graph(net.nodes, "yes", [], [info("Y")], stored_of(net))
    choice = helper.make_node("If", ["really"], ["out"], name="choice", then_branch=body, else_branch=other)
    return save(path, helper.make_graph([choice], "g", [info("X", ["t", "b", 3]), info("really", [], 9)],
                                        [info("out")])), {"really": np.array(True)}, "choice/then/lstm"  # fmt: skip


def in_an_if_with_weights_outside(net, path):
    other = helper.make_graph([helper.make_node("Identity", ["X"], ["other"])], "no", [], [info("other")])
    body = helper.make_graph(net.nodes, "yes", [], [info("Y")])
    choice = helper.make_node("If", ["really"], ["out"], then_branch=body, else_branch=other)
    return save(path, helper.make_graph([choice], "g", [info("X", ["t", "b", 3]), info("really", [], 9)], [info("out")],
                                        stored_of(net))), {"really": np.array(True)}, "If_0/then/lstm"  # fmt: skip


def in_a_loop(net, path):
    nodes = [*net.nodes, helper.make_node("Identity", ["go"], ["on"])]
    body = helper.make_graph(nodes, "body", [info("k", [], 7), info("go", [], 9)], [info("on", [], 9), info("Y")],
                             stored_of(net))  # fmt: skip
    loop = helper.make_node("Loop", ["times", ""], ["all"], name="loop", body=body)
    once = [numpy_helper.from_array(np.array(1), "times"), numpy_helper.from_array(np.array([0]), "first")]
    first = helper.make_node("Squeeze", ["all", "first"], ["out"])
    return (
        save(path, helper.make_graph([loop, first], "g", [info("X", ["t", "b", 3])], [info("out")], once)),
        {},
        ("loop/lstm"),
    )


def in_a_scan(net, path):
    body = helper.make_graph(net.nodes, "body", [info("X")], [info("Y")], stored_of(net))
    scan = helper.make_node("Scan", ["many"], ["all"], name="scan", body=body, num_scan_inputs=1)
    zero = [numpy_helper.from_array(np.array([0]), "first")]
    nodes = [helper.make_node("Unsqueeze", ["outside", "first"], ["many"]), scan]
    nodes.append(helper.make_node("Squeeze", ["all", "first"], ["out"]))
    return (
        save(path, helper.make_graph(nodes, "g", [info("outside", ["t", "b", 3])], [info("out")], zero)),
        {},
        ("scan/lstm"),
    )


@pytest.mark.parametrize("where", [in_an_if, in_an_if_with_weights_outside, in_a_loop, in_a_scan])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_an_lstm_in_a_body_is_found_and_read(tmp_path, where, direction):
    net = Net(1, direction=direction)
    path, more, name = where(net, tmp_path / "m.onnx")
    x = normal(net.rng, T, B, 3)
    want = run(path, **{"outside" if where is in_a_scan else "X": x}, **more)[0]
    got = load_weights(path)
    assert got.name == name and load_weights(path, layer="lstm").name == name
    np.testing.assert_allclose(h_of(got, x), want, atol=1e-5)
    assert got.readout is None and f"the LSTM is in the body of {name.removesuffix('/lstm')}," in why(got)


def test_two_branches_of_one_name_are_told_apart(tmp_path):
    graphs = []
    for seed, branch in ((1, "then"), (2, "else")):
        net = Net(seed)
        graphs.append(helper.make_graph(net.nodes, branch, [], [info("Y")], stored_of(net)))
    choice = helper.make_node("If", ["really"], ["out"], name="if", then_branch=graphs[0], else_branch=graphs[1])
    inputs = [info("X", ["t", "b", 3]), info("really", [], 9)]
    path = save(tmp_path / "m.onnx", helper.make_graph([choice], "g", inputs, [info("out")]))
    with pytest.raises(InputError, match="layer=if/else/lstm or layer=if/then/lstm"):
        load_weights(path)
    x = normal(net.rng, T, B, 3)
    for name, really in (("if/then/lstm", True), ("if/else/lstm", False)):
        want = run(path, X=x, really=np.array(really))[0]
        np.testing.assert_allclose(h_of(load_weights(path, layer=name), x), want, atol=1e-5)


@pytest.mark.parametrize(("layers", "direction"), [(1, "reverse"), (3, "reverse"), (2, "bidirectional")])
def test_a_stack_of_one_direction_is_one_lstm(tmp_path, layers, direction):
    net, both = Net(2, direction=direction), direction == "bidirectional"
    for k in range(1, layers):
        if both:
            net.add("Transpose", perm=[0, 2, 1, 3]).add("Reshape", np.array([0, 0, -1]))
        else:
            every_step(net)
        shapes = (1 + both, 4 * H, H * (1 + both)), (1 + both, 4 * H, H), (1 + both, 8 * H)
        weights = [normal(net.rng, *shape) for shape in shapes]
        net.add("LSTM", *weights, name=f"lstm_{k}", hidden_size=H, direction=direction)
    path = net.write(tmp_path / "m.onnx")
    x = normal(net.rng, T, B, 3)
    got = load_weights(path)
    assert got.lstm.num_layers == layers and isinstance(got.lstm, BackwardLSTM) != both
    np.testing.assert_allclose(h_of(got, x), run(path, X=x)[0], atol=1e-5)


def test_a_stack_that_reads_over_sequences_is_none(tmp_path):
    net = every_step(Net(2)).add("Transpose", perm=[1, 0, 2])
    weights = [normal(net.rng, *shape) for shape in ((1, 4 * H, H), (1, 4 * H, H))]
    net.add("LSTM", *weights, name="upper", hidden_size=H)
    with pytest.raises(InputError, match="2 LSTM layers, lstm and upper"):
        load_weights(net.write(tmp_path / "m.onnx"))


@pytest.mark.parametrize("kind", ["per tensor", "per gate row", "int32 bias", "16 bits"])
def test_dequantised_weights(tmp_path, kind):
    net = Net(5, opset=21)
    for name in ("W", "R"):
        rows = net.stored[name].shape[1]
        scale = normal(net.rng, rows).astype("f4") ** 2 + 0.01 if kind == "per gate row" else np.float32(0.02)
        numbers = net.rng.integers(-99, 99, net.stored.pop(name).shape).astype("i2" if kind == "16 bits" else "i1")
        zero = np.zeros_like(scale, numbers.dtype)
        stored = [net.store(a) for a in (numbers, scale, zero)]
        net.nodes.insert(0, helper.make_node("DequantizeLinear", stored, [name], axis=1))
    if kind == "int32 bias":
        stored = [net.store(a) for a in (net.rng.integers(-9, 9, (1, 8 * H)).astype("i4"), np.float32(0.1))]
        del net.stored["B"]
        net.nodes.insert(0, helper.make_node("DequantizeLinear", stored, ["B"]))
    path = net.write(tmp_path / "m.onnx")
    x = normal(net.rng, T, B, 3)
    got = load_weights(path)
    np.testing.assert_allclose(h_of(got, x), run(path, X=x)[0], atol=1e-5)
    assert "lstm: its weights are stored quantised, here dequantised as the file does" in got.notes


def test_half_precision_weights_cast_by_the_graph(tmp_path):
    net = Net(5)
    for name in "WRB":
        net.stored[f"{name}16"] = net.stored.pop(name).astype("f2")
        net.nodes.insert(0, helper.make_node("Cast", [f"{name}16"], [name], to=FLOAT))
    path = net.write(tmp_path / "m.onnx")
    x = normal(net.rng, T, B, 3)
    np.testing.assert_allclose(h_of(load_weights(path), x), run(path, X=x)[0], atol=1e-5)


STATES = {
    "a constant": lambda n, v: n.stored.update(h0=np.full((1, B, H), v, "f4")),
    "a constant for any batch": lambda n, v: (
        n.stored.update(one=np.full((1, 1, H), v, "f4"), sizes=np.array([1, B, H])),
        n.nodes.insert(0, helper.make_node("Expand", ["one", "sizes"], ["h0"])),
    ),
    "filled by the batch's size": lambda n, v: (
        n.stored.update(k=np.array([1]), h=np.array([H])),
        n.nodes.insert(
            0,
            helper.make_node("ConstantOfShape", ["size"], ["h0"], value=numpy_helper.from_array(np.array([v], "f4"))),
        ),
        n.nodes.insert(0, helper.make_node("Concat", ["k", "b", "h"], ["size"], axis=0)),
        n.nodes.insert(0, helper.make_node("Gather", ["shape", "k"], ["b"])),
        n.nodes.insert(0, helper.make_node("Shape", ["X"], ["shape"])),
    ),
    "learned, repeated for the batch": lambda n, v: (
        n.stored.update(one=np.full((1, 1, H), v, "f4"), k=np.array([1])),
        n.nodes.insert(0, helper.make_node("Tile", ["one", "times"], ["h0"])),
        n.nodes.insert(0, helper.make_node("Concat", ["k", "b", "k"], ["times"], axis=0)),
        n.nodes.insert(0, helper.make_node("Gather", ["shape", "k"], ["b"])),
        n.nodes.insert(0, helper.make_node("Shape", ["X"], ["shape"])),
    ),
}


@pytest.mark.parametrize("how", STATES)
def test_a_constant_initial_state_is_zero_or_refused(tmp_path, how):
    for value in (0.0, 0.5):
        net = Net(6, initial_h="h0")
        STATES[how](net, value)
        path = net.write(tmp_path / "m.onnx")
        x = normal(net.rng, T, B, 3)
        want = run(path, X=x)[0]
        if value:
            with pytest.raises(InputError, match="lstm: initial_h is a constant other than zero"):
                load_weights(path)
        else:
            got = load_weights(path)
            np.testing.assert_allclose(h_of(got, x), want, atol=1e-5)
            assert not any("initial_h" in note for note in got.notes)


def test_a_state_that_is_handed_in_is_noted(tmp_path):
    net = every_step(Net(6, initial_h="h0")).linear(2)
    net.inputs["h0"] = [1, "b", H]
    got = load_weights(net.write(tmp_path / "m.onnx"))
    assert any("lstm is handed its initial_h: here it starts at zero" in note for note in got.notes)
    assert got.not_scored is None and got.readout is not None
    del net.inputs["h0"]
    net.inputs["v"] = ["b", H]
    net.stored["zero"] = np.array([0])
    net.nodes.insert(0, helper.make_node("Unsqueeze", ["v", "zero"], ["h0"]))
    path = net.write(tmp_path / "m.onnx")
    got, x = load_weights(path), normal(net.rng, T, B, 3)
    assert got.not_scored is None  # a state is no other where it is handed in with other axes
    want = run(path, X=x, v=np.zeros((B, H), "f4"))[0]
    shown = got.model(torch.from_numpy(x).transpose(0, 1)).detach().transpose(0, 1)
    np.testing.assert_allclose(shown.numpy(), want, atol=1e-5)


@pytest.mark.parametrize("how", ["of an input", "of X", "of a constant"])
def test_a_state_that_is_computed_is_not_scored(tmp_path, how):
    net = every_step(Net(6, initial_h="h0")).linear(2)
    net.stored["zero"] = np.array([0])
    if how == "of an input":
        net.inputs["v"] = [1, "b", H]
        made = [helper.make_node("Tanh", ["v"], ["h0"])]
    elif how == "of X":  # its first step, not a state that could be zero
        made = [helper.make_node("Gather", ["X", "zero"], ["h0"])]
    else:
        net.inputs["v"], net.stored["ones"] = [1, "b", 2], np.ones((1, B, 2), "f4")
        made = [helper.make_node("Concat", ["v", "ones"], ["h0"], axis=2)]
    net.nodes[:0] = made
    got = load_weights(net.write(tmp_path / "m.onnx"))
    assert got.not_scored == "lstm starts from an initial_h that the network computes"


def test_constant_lengths_and_peepholes_of_zero(tmp_path):
    net = Net(6, x=(T, B, 3), sequence_lens="L")
    x = normal(net.rng, T, B, 3)
    net.stored["L"] = np.full(B, T, np.int32)
    path = net.write(tmp_path / "m.onnx")
    np.testing.assert_allclose(h_of(load_weights(path), x), run(path, X=x)[0], atol=1e-5)
    net.stored["L"] = np.array([T, T - 2], np.int32)
    with pytest.raises(InputError, match=r"sequence_lens is a constant, \[5, 3\]; must be left out or an input"):
        load_weights(net.write(path))
    for value in (0, 1):
        net = Net(6)
        net.nodes[0].input.extend(["", "", "", "P"])
        net.stored["P"] = np.full((1, 3 * H), value, "f4")
        net.write(path)
        got = load_weights(path)
        np.testing.assert_allclose(h_of(got, x), run(path, X=x)[0], atol=1e-5)
        assert isinstance(got.lstm, nn.LSTM) == (value == 0)


@pytest.mark.parametrize("both", [False, True])
def test_the_batch_first_layout(tmp_path, both):
    from onnx.reference import ReferenceEvaluator

    net = Net(7, x=("b", "t", 3), direction="bidirectional" if both else "forward")
    net.nodes[0].attribute.append(helper.make_attribute("layout", 1))
    if both:
        net.add("Reshape", np.array([0, 0, -1]))
    else:
        net.add("Squeeze", np.array([2]))
    path = net.linear(3).write(tmp_path / "m.onnx")
    x = normal(net.rng, T, B, 3)
    got = load_weights(path)
    if not both:  # onnx's own evaluator has one direction there
        want = ReferenceEvaluator(str(path)).run(None, {"X": x.transpose(1, 0, 2)})[0]
        np.testing.assert_allclose(ours(got, x), want, atol=1e-5)
    assert got.readout is not None and not got.last_step


def test_what_stands_before_the_lstm_is_said_and_an_embedding_is_read(tmp_path):
    net = every_step(Net(8, x=("t", "b", 3))).linear(2)
    net.nodes[0].input[0] = "bent"
    net.nodes.insert(0, helper.make_node("Relu", ["X"], ["bent"], name="bend"))
    notes = load_weights(net.write(tmp_path / "m.onnx")).notes
    assert "bend (Relu) stands before the LSTM: its outputs are the inputs here" in notes
    net = every_step(Net(8)).linear(2)
    net.nodes[0].input[0] = "rows"
    net.stored["table"] = normal(net.rng, 9, 3)
    net.nodes[:0] = [
        helper.make_node("Transpose", ["X"], ["tokens"], perm=[1, 0]),
        helper.make_node("Gather", ["table", "tokens"], ["rows"]),
    ]
    net.inputs = {"L": ["b", "t"]}
    net.nodes[0].input[0] = "L"
    path = net.write(tmp_path / "e.onnx")
    tokens = net.rng.integers(0, 9, (B, T))
    got = load_weights(path)
    with torch.no_grad():
        made = got.model(torch.from_numpy(tokens)).numpy()
    np.testing.assert_allclose(made.transpose(1, 0, 2), run(path, L=tokens.astype("i4"))[0], atol=1e-5)


def test_a_quantised_lstm_is_refused_by_name(tmp_path):
    node = helper.make_node("DynamicQuantizeLSTM", ["X", "W", "R"], ["Y"], domain="com.microsoft", hidden_size=4)
    path = save(tmp_path / "m.onnx", helper.make_graph([node], "g", [info("X", ["t", "b", 3])], [info("Y")]))
    with pytest.raises(InputError, match=r"has a DynamicQuantizeLSTM node \(a quantised LSTM computes with rounded"):
        load_weights(path)
