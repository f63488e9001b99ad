"""A Batch of one's own arrays: the same whatever they come as, and one line for each thing that is wrong."""

import numpy as np
import pandas as pd
import pytest
import torch

import lstm_probe as lp
from lstm_probe.core.errors import InputError

RNG = np.random.default_rng(3)
LENGTHS = [4, 2, 5]
ROWS = [RNG.normal(size=(n, 2)) for n in LENGTHS]
PADDED = np.zeros((3, 5, 2))
for k, row in enumerate(ROWS):
    PADDED[k, : len(row)] = row


def spread(rows, fill=0.0):
    """Sequences of their own lengths as one array."""
    out = np.full((3, 5), fill)
    for k, row in enumerate(rows):
        out[k, : len(row)] = row
    return out


@pytest.mark.parametrize(
    "inputs",
    [
        ROWS,
        [row.tolist() for row in ROWS],
        [torch.from_numpy(row) for row in ROWS],
        tuple(ROWS),
        PADDED,
        torch.from_numpy(PADDED).float(),
        np.where(PADDED == 0, np.nan, PADDED),  # whatever stands behind the end
    ],
    ids=["arrays", "lists", "tensors", "tuple", "padded", "padded tensor", "NaN behind"],
)
def test_inputs_are_the_same_however_they_come(inputs):
    batch = lp.Batch.make(inputs, lengths=LENGTHS)
    assert batch.lengths.tolist() == LENGTHS and batch.inputs.shape == (3, 5, 2)
    assert np.allclose(batch.inputs.numpy(), PADDED)
    assert batch.inputs.dtype == (torch.float64 if inputs is not ROWS and isinstance(inputs, list)
                                  and isinstance(inputs[0], torch.Tensor) else torch.float32)  # fmt: skip
    assert batch.targets == {} == dict(batch.signals) and batch.groups is None


def test_one_feature_goes_without_an_axis_and_lengths_without_saying():
    batch = lp.Batch.make([[1, 2, 3], [4]])
    assert batch.inputs.tolist() == [[[1], [2], [3]], [[4], [0], [0]]] and batch.lengths.tolist() == [3, 1]
    assert lp.Batch.make(np.ones((2, 3))).lengths.tolist() == [3, 3]


def test_kinds_are_those_that_probes_infer():
    values = [RNG.normal(size=n) for n in LENGTHS]
    signals = {
        "number": values,
        "yes": [[k % 2 == 0 for k in range(n)] for n in LENGTHS],
        "class": [[k % 3 for k in range(n)] for n in LENGTHS],
        "word": ["b", "a", "c"],
        "gaps": [[0, None, 2, 1], [1, 2], [0, 1, 2, 0, None]],
        "angle": lp.Signal("angle", torch.zeros(3, 5), "circular", "nuisance", "where it looks"),
    }
    made = lp.Batch.make(ROWS, signals, targets={"number": values}).signals
    assert {name: (one.kind, one.role) for name, one in made.items()} == {
        "number": ("continuous", "target"), "yes": ("binary", "latent"), "class": ("categorical", "latent"),
        "word": ("categorical", "latent"), "gaps": ("categorical", "latent"), "angle": ("circular", "nuisance"),
    }  # fmt: skip
    assert np.allclose(made["number"].values, spread(values), atol=1e-6)
    assert made["word"].values[:, 0].tolist() == [1, 0, 2] and made["angle"].meaning == "where it looks"
    assert torch.isnan(made["gaps"].values).nonzero().tolist()[:1] == [[0, 1]]
    rec = lp.record(torch.nn.LSTM(2, 3, batch_first=True), PADDED.astype("float32"), lengths=LENGTHS)
    plain = {name: one for name, one in signals.items() if name != "angle"}
    settings = {"permutations": 1, "bootstrap": 1, "untrained": 1, "folds": 2, "variables": ["c"]}
    tables = [lp.probe_units(rec, one, **settings) for one in (plain, {name: made[name] for name in plain})]
    assert tables[0]["kind"].tolist() == tables[1]["kind"].tolist()
    assert np.allclose(tables[0]["effect"], tables[1]["effect"], atol=1e-5, equal_nan=True)


def test_losses_are_inferred_and_gaps_do_not_count():
    batch = lp.Batch.make(ROWS, targets={
        "number": [RNG.normal(size=n) for n in LENGTHS],
        "two": [RNG.normal(size=(n, 2)) for n in LENGTHS],
        "yes": [[0, 1, 1, 0], [1, 0], [0, 0, None, 1, 1]],
        "class": [[0, 4, 2, 2], [1, 0], [4, 4, 1, 0, 0]],
        "word": ["up", "down", "left"],
    })  # fmt: skip
    assert [(one.name, one.loss, one.size) for one in batch.target_specs] == [
        ("number", "regression", 1), ("two", "regression", 2), ("yes", "binary", 1), ("class", "class", 5),
        ("word", "class", 3),
    ]  # fmt: skip
    assert batch.targets["two"].shape == (3, 5, 2) and batch.targets["yes"].dtype == torch.int64
    assert batch.target_specs[-1].classes == ("down", "left", "up")
    assert batch.targets["word"][[0, 1, 2], [3, 1, 4]].tolist() == [2, 0, 1]
    assert batch.scored_steps("yes").sum(1).tolist() == [4, 2, 4] and not batch.scored_steps("yes")[2, 2]
    assert batch.scored_steps("word").nonzero().tolist() == [[0, 3], [1, 1], [2, 4]]
    assert torch.equal(batch.scored_steps("class"), batch.mask)
    outputs = torch.zeros(3, 5, 12)  # 1 + 2 + 1 + 5 + 3
    assert set(batch.scores(outputs)) == set(batch.targets) and batch.loss(outputs).isfinite()


def test_floats_are_no_classes_however_long_sequences_are():
    """A step that is not there, or does not count, makes no labels of quantities that happen to be whole."""
    counts = np.arange(15).reshape(3, 5) % 4.0
    for inputs, values in (
        (PADDED, counts), (ROWS, [own[:n] for own, n in zip(counts, LENGTHS)]), (PADDED, counts[:, 1]),
        (ROWS, counts[:, 1]),
    ):  # fmt: skip
        lengths = LENGTHS if inputs is PADDED else None
        (spec,) = lp.Batch.make(inputs, targets={"count": values}, lengths=lengths).target_specs
        assert (spec.loss, spec.size) == ("regression", 1)
    (spec,) = lp.Batch.make(PADDED, targets={"count": np.array([1, 2, 5])}).target_specs
    assert (spec.loss, spec.size) == ("class", 6)


def test_a_perfect_output_has_a_perfect_score():
    truth = [[0, 1, 1, 0], [1, 0], [0, 0, 1, 1, 1]]
    batch = lp.Batch.make(ROWS, targets={"yes": truth})
    assert batch.scores(torch.from_numpy(spread(truth) * 20 - 10)[..., None]) == {"yes": 1.0}


def test_what_a_target_is_can_be_said():
    both = (PADDED > 0).astype(int)
    spec = lp.Target("both", "multilabel", size=2)
    batch = lp.Batch.make(PADDED, targets={"both": both}, target_specs=[spec])
    assert batch.target_specs == (spec,) and np.array_equal(batch.targets["both"], both)
    symbols = lp.Target("next", "next_symbol", size=4)
    batch = lp.Batch.make(PADDED, targets={"next": np.full((3, 5), 3)}, target_specs=[symbols])
    assert batch.targets["next"].unique().tolist() == [3]


def test_frames_and_groups():
    frame = pd.DataFrame({"place": ["x", "y", "x"]})
    batch = lp.Batch.make(ROWS, frame, groups=["anna", "ben", "anna"])
    assert batch.groups.tolist() == [0, 1, 0] and batch.signals["place"].values[:, 0].tolist() == [0, 1, 0]


BAD = [
    (([],), {}, "inputs: there are no sequences"),
    ((np.zeros((2, 0, 3)),), {}, r"inputs: shape \(2, 0, 3\); must be \(sequence, time, feature\)"),
    ((["a", "b"],), {}, "inputs: sequence 0: must be numbers"),
    (([np.ones((2, 3)), np.ones((2, 4))],), {}, "inputs: sequences of 3, 4 features; all must have as many"),
    (([[1, np.inf], [2]],), {}, "inputs: not a finite number at sequence 0, step 1"),
    ((ROWS,), {"lengths": [4, 3, 5]}, "lengths: 3 for sequence 1; must be from 1 to 2"),
    ((ROWS,), {"lengths": [4, 2]}, "lengths: must be 3 whole numbers, one for each sequence"),
    ((ROWS,), {"lengths": [4, 0, 5]}, "lengths: 0 for sequence 1"),
    ((ROWS, {"s": [1, 2]}), {}, r"signals\['s'\]: shape \(2,\); there are 3 sequences of 5 steps"),
    ((ROWS, [1, 2, 3]), {}, "signals: a list; must be a dict"),
    ((ROWS, {"s": lp.Signal("s", torch.ones(3, 5) * 90, "circular")}), {}, "these may be degrees"),
    ((ROWS,), {"groups": [1, 2]}, "groups: shape"),
    ((ROWS,), {"targets": {"y": np.ones((2, 5))}}, r"targets\['y'\]: shape \(2, 5\); there are 3 sequences"),
    ((ROWS,), {"targets": {"y": np.ones((3, 4, 2))}}, r"targets\['y'\]: shape \(3, 4, 2\); .* \(3, 5, size\)"),
    ((ROWS,), {"targets": {"y": np.full((3, 5), np.nan)}}, r"targets\['y'\]: no real step has a value"),
    ((ROWS,), {"targets": {"y": (PADDED > 0) * 1}}, r"2 outputs that are 0 or 1; say by target_specs="),
    ((ROWS,), {"target_specs": [lp.Target("y")]}, "target_specs: y: there is no such target"),
    ((ROWS,), {"targets": {"y": np.full((3, 5), 7)}, "target_specs": [lp.Target("y", "class", size=4)]},
     r"targets\['y'\]: loss=class takes whole numbers from 0 to 3"),
    ((ROWS,), {"targets": {"y": ["a", "b", "z"]}, "target_specs": [lp.Target("y", "class", 2, classes=("a", "b"))]},
     r"targets\['y'\]: z: not one of its classes \(a, b\)"),
    ((ROWS,), {"targets": {"y": PADDED}, "target_specs": [lp.Target("y", size=3)]}, "2 value.s. a step"),
    ((ROWS,), {"targets": {"y": PADDED}, "target_specs": [lp.Target("y", "binary")]}, "loss=binary takes class n"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "settings", "message"), BAD, ids=[message for *_, message in BAD])
def test_what_is_wrong_is_named(given, settings, message):
    with pytest.raises(InputError, match=message):
        lp.Batch.make(*given, **settings)


def test_every_problem_is_named_at_once():
    with pytest.raises(InputError) as caught:
        lp.Batch.make(ROWS, {"s": [1], "t": [[1]]}, targets={"y": [1]}, groups=[1])
    assert [line.split(":")[0] for line in caught.value.problems] == [
        "targets['y']", "signals['s']", "signals['t']", "groups"]  # fmt: skip
