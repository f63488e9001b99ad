"""What an ONNX graph proves of a readout, against what onnxruntime computes: the right one, or none."""

import re

import numpy as np
import pytest
import torch

from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights
from tests.onnx_nets import B, H, Net, T, every_step, normal, ours, run, why

HIDDEN = {
    "relu and concat": lambda n: n.linear(8).add("Relu").add("Concat", "X", axis=2).add("MatMul", normal(n.rng, 11, 1)),
    "elu": lambda n: n.linear(8).add("Elu").linear(1, 8),
    "relu and layer norm": lambda n: (
        n.linear(8).add("Relu").add("LayerNormalization", np.ones(8, "f4"), np.zeros(8, "f4")).linear(1, 8)
    ),
    "no activation": lambda n: n.linear(8).linear(1, 8),
    "a norm before": lambda n: n.add("LayerNormalization", np.ones(4, "f4"), np.zeros(4, "f4")).linear(2),
    "relu before": lambda n: n.add("Relu").linear(2),
    "inputs beside h": lambda n: n.add("Concat", "X", axis=2).linear(2, 7),
    "scaled after": lambda n: n.linear(2).add("Mul", np.array(2.0, "f4")),
    "a residual": lambda n: n.linear(3).add("Add", "X"),
    "a mean over time": lambda n: n.linear(2).add("ReduceMean", axes=[0]),
    "a softmax over time": lambda n: n.linear(2).add("Softmax", axis=0),
    "a second LSTM": lambda n: n.linear(3).add(
        "LSTM", normal(n.rng, 1, 8, 3), normal(n.rng, 1, 8, 2), hidden_size=2, name="upper"
    ),
}


@pytest.mark.parametrize("what", HIDDEN)
def test_a_layer_with_anything_else_on_its_way_is_no_readout(tmp_path, what):
    net = every_step(Net())
    HIDDEN[what](net)
    path = net.write(tmp_path / "m.onnx")
    run(path, X=normal(net.rng, T, B, 3))
    layer = "lstm" if what == "a second LSTM" else None
    got = load_weights(path, layer=layer)
    assert got.readout is None and got.activation is None and why(got)


def test_the_note_says_what_stands_in_the_way_and_the_user_may_know_better(tmp_path):
    net = every_step(Net()).linear(8, name="dense").add("Elu", name="bend").linear(1, 8, name="final")
    path = net.write(tmp_path / "m.onnx")
    assert why(load_weights(path)) == "dense does not lead to the network's output alone: final (MatMul) follows it"
    got = load_weights(path, readout="dense")
    np.testing.assert_array_equal(got.readout.weight.detach(), net.stored["k2"].T)
    with pytest.raises(
        InputError, match=r"readout=dens: no linear layer that reads the LSTM; there is dense.* 'dense'"
    ):
        load_weights(path, readout="dens")


def two_heads(net):
    every_step(net)
    h = net.at
    net.linear(2, name="policy")
    first = net.at
    net.at = h
    net.linear(1, name="value")
    return first, net.at


def test_several_heads_have_to_be_chosen_from(tmp_path):
    net = Net()
    path = net.write(tmp_path / "m.onnx", *two_heads(net))
    got = load_weights(path)
    assert got.readout is None
    assert why(got) == "the network has 2, policy and value; say which with readout=policy or readout=value"
    x = normal(net.rng, T, B, 3)
    for k, name in enumerate(("policy", "value")):
        got = load_weights(path, readout=name)
        np.testing.assert_allclose(ours(got, x), run(path, X=x)[k].transpose(1, 0, 2), atol=1e-5)


def test_outputs_of_other_branches_leave_it_open_and_states_do_not(tmp_path):
    net = every_step(Net()).linear(2, name="head").add("Softmax", axis=-1)
    head = net.at
    states = net.write(tmp_path / "s.onnx", "Yh", head, "Yc", "Y")
    x = normal(net.rng, T, B, 3)
    got = load_weights(states)
    np.testing.assert_allclose(ours(got, x), run(states, X=x)[1].transpose(1, 0, 2), atol=1e-5)
    net.add("Tanh", to="Y")
    got = load_weights(net.write(tmp_path / "o.onnx", head, net.at))
    assert got.readout is None and "other outputs too (Tanh5); say readout=head if it is the one" in why(got)
    net.add("MatMul", normal(net.rng, 3, 2), to="X")
    assert load_weights(net.write(tmp_path / "x.onnx", head, net.at)).readout is None
    alone = Net()
    assert "what reads the LSTM is nothing" in why(load_weights(alone.write(tmp_path / "h.onnx", "Y")))


LAST = {
    "Yh": ({"y": "Yh"}, lambda n: n.add("Squeeze", np.array([0]))),
    "Yh, a direction gathered": ({"y": "Yh"}, lambda n: n.add("Gather", np.array(0))),
    "Yh reshaped": ({"y": "Yh"}, lambda n: n.add("Reshape", np.array([-1, H]))),
    "gathered": ({}, lambda n: every_step(n).add("Gather", np.array(-1))),
    "gathered and kept": ({}, lambda n: every_step(n).add("Gather", np.array([-1])).add("Squeeze", np.array([0]))),
    "gathered by its number": ({"x": (T, "b", 3)}, lambda n: every_step(n).add("Gather", np.array(T - 1))),
    "sliced": ({}, lambda n: every_step(n).add("Slice", np.array([-1]), np.array([2**63 - 1]), np.array([0]))),
    "sliced by its number": (
        {"x": (T, "b", 3)},
        lambda n: every_step(n).add("Slice", np.array([T - 1]), np.array([T]), np.array([0])),
    ),
    "both directions at the last step": (
        {"direction": "bidirectional"},
        lambda n: n.add("Gather", np.array(-1)).add("Transpose", perm=[1, 0, 2]).add("Flatten"),
    ),
    "each direction's own": (
        {"direction": "bidirectional", "y": "Yh"},
        lambda n: n.add("Transpose", perm=[1, 0, 2]).add("Flatten"),
    ),
    "backward's own": ({"direction": "reverse", "y": "Yh"}, lambda n: n.add("Squeeze", np.array([0]))),
    "backward at the last step": ({"direction": "reverse"}, lambda n: every_step(n).add("Gather", np.array(-1))),
    "with lengths": (
        {"y": "Yh", "sequence_lens": "L"},
        lambda n: (n.inputs.update(L=["b"]), n.add("Squeeze", np.array([0]))),
    ),
}


@pytest.mark.parametrize("what", LAST)
def test_the_last_step_alone_is_a_fact(tmp_path, what):
    how, more = LAST[what]
    net = Net(3, **how)
    more(net)
    net.linear(3, name="head")
    path = net.write(tmp_path / "m.onnx")
    x = normal(net.rng, T, B, 3)
    lengths = {"L": np.full(B, T, np.int32)} if "L" in net.inputs else {}
    got = load_weights(path)
    own = {"each direction's own": "each direction's own last step", "backward's own": "the first step alone"}
    step = own.get(what, "the last step alone")
    assert got.last_step and any(f"head reads {step}; here it is applied at every step" in note for note in got.notes)
    want = run(path, X=x, **lengths)[0]
    np.testing.assert_allclose(ours(got, x), want.reshape(B, 3), atol=1e-5)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("steps", ["every", "own last"])
def test_sequences_of_unequal_length(tmp_path, direction, steps):
    net = Net(4, direction=direction, y="Yh" if steps == "own last" else "Y", sequence_lens="L")
    net.inputs["L"] = ["b"]
    if steps == "every":
        net.add("Transpose", perm=[0, 2, 1, 3]).add("Reshape", np.array([0, 0, -1]))
    else:
        net.add("Transpose", perm=[1, 0, 2]).add("Flatten")
    path = net.linear(3).write(tmp_path / "m.onnx")
    x, lengths = normal(net.rng, T, 3, 3), np.array([5, 2, 4], np.int32)
    want, got = run(path, X=x, L=lengths)[0], load_weights(path)
    with torch.no_grad():
        made = got.model(torch.from_numpy(x.transpose(1, 0, 2)), torch.from_numpy(lengths)).numpy()
    assert got.last_step == (steps == "own last")
    for k, n in enumerate(lengths):
        if got.last_step:
            np.testing.assert_allclose(made[k, n - 1], want[k], atol=1e-5)
        else:
            np.testing.assert_allclose(made[k, :n], want[:n, k], atol=1e-5)


NOT_LAST = {
    "the first": ({}, lambda n: every_step(n).add("Gather", np.array(0)), "the first step alone"),
    "the first, sliced": (
        {},
        lambda n: every_step(n).add("Slice", np.array([0]), np.array([1]), np.array([0])),
        "the first step alone",
    ),
    "the last of a padded batch": (
        {"sequence_lens": "L"},
        lambda n: (n.inputs.update(L=["b"]), every_step(n).add("Gather", np.array(-1))),
        "which may be padding",
    ),
    "the second": ({}, lambda n: every_step(n).add("Gather", np.array(1)), r"\(Gather\), no linear layer"),
    "a last but unknown number": ({}, lambda n: every_step(n).add("Gather", np.array(T - 1)), r"\(Gather\), no linear"),
    "the last sequence": (
        {},
        lambda n: every_step(n).add("Gather", np.array(-1), axis=1),
        r"\(Gather\), no linear layer",
    ),
    "one direction": (
        {"direction": "bidirectional"},
        lambda n: (n.add("Gather", np.array(0), axis=1), setattr(n, "width", H)),
        "no linear layer",
    ),
    "Yc": ({"y": "Yc"}, lambda n: n.add("Squeeze", np.array([0])), "nothing, no linear layer"),
}


@pytest.mark.parametrize("what", NOT_LAST)
def test_other_steps_are_no_readout(tmp_path, what):
    how, more, words = NOT_LAST[what]
    net = Net(3, **how)
    more(net)
    path = net.linear(3, name="head").write(tmp_path / "m.onnx")
    lengths = {"L": np.full(B, T, np.int32)} if "L" in net.inputs else {}
    run(path, X=normal(net.rng, T, B, 3), **lengths)
    got = load_weights(path)
    assert got.readout is None and not got.last_step
    assert re.search(words, why(got))


def random_net(seed):
    """Return a graph of random steps behind an LSTM: what only rearranges, what does not, and linear layers."""
    direction = ("forward", "reverse", "bidirectional")[seed % 3]
    rng = np.random.default_rng(seed)
    known = rng.random() < 0.7
    net = Net(seed, x=(T, B, 3) if known else ("t", "b", 3), direction=direction, y=("Y", "Yh")[int(rng.integers(2))])
    shape = [T, len(net.stored["W"]), B, H][0 if net.at == "Y" else 1 :]
    linear = False
    for _ in range(int(rng.integers(3, 9))):
        k, op = int(rng.integers(len(shape))), rng.choice(OPS)
        if op == "Transpose":
            order = rng.permutation(len(shape))
            net.add(op, perm=order.tolist())
            shape = [shape[j] for j in order]
        elif op == "Squeeze" and shape[k] == 1 and len(shape) > 1:
            net.add(op, np.array([k]))
            del shape[k]
        elif op == "Unsqueeze":
            net.add(op, np.array([k]))
            shape.insert(k, 1)
        elif op == "Reshape" and len(shape) > 2:
            k = min(k, len(shape) - 2)
            shape[k : k + 2] = [shape[k] * shape[k + 1]]
            said = [-1 if j == k and rng.random() < 0.5 else 0 if j < k and rng.random() < 0.5 else size
                    for j, size in enumerate(shape)]  # fmt: skip
            net.add(op, np.array(said))
        elif op == "Gather" and len(shape) > 1:
            net.add(op, np.array(int(rng.choice([-1, 0, shape[k] - 1]))), axis=k)
            del shape[k]
        elif op == "Slice":
            start = int(rng.choice([-1, 0, shape[k] - 1]))
            net.add(op, np.array([start]), np.array([2**31 - 1]), np.array([k]))
            shape[k] = len(range(shape[k])[start:])
        elif op == "MatMul" and len(shape) > 1:
            net.add(op, normal(rng, shape[-1], 3)).add("Add", normal(rng, 3))
            shape[-1], linear = 3, True
        elif op in ("Identity", "Relu", "Dropout"):
            net.add(op)
        elif op == "Softmax":
            net.add(op, axis=k)
    return net, linear


OPS = [
    "Transpose",
    "Squeeze",
    "Squeeze",
    "Unsqueeze",
    "Reshape",
    "Gather",
    "Slice",
    "MatMul",
    "MatMul",
    "MatMul",
    "Identity",
    "Dropout",
    "Relu",
    "Softmax",
]


@pytest.mark.parametrize("chunk", range(4))
def test_random_graphs_have_the_right_readout_or_none(tmp_path, chunk):
    taken = 0
    for seed in range(150 * chunk, 150 * (chunk + 1)):
        net, linear = random_net(seed)
        path = net.write(tmp_path / "m.onnx")
        x = normal(net.rng, T, B, 3)
        want, got = run(path, X=x)[0], load_weights(path)
        taken += got.readout is not None
        if got.readout is not None:
            assert linear
            np.testing.assert_allclose(np.sort(ours(got, x).ravel()), np.sort(want.ravel()), atol=1e-5)
    assert taken > 4
