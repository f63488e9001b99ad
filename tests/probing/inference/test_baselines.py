"""The baselines, each against doing it the long way."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from torch import nn

from lstm_probe.core.seeding import derive_seed
from lstm_probe.network.model import SequenceModel
from lstm_probe.probing import Split
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.study import make_study, untrained_effects
from lstm_probe.probing.data.view import View
from lstm_probe.probing.inference import baselines
from lstm_probe.probing.inference.baselines import (
    control_signals,
    input_types,
    time_only,
    time_predictions,
    untrained_once,
    untrained_recording,
)
from lstm_probe.probing.inference.evaluate import evaluate_units
from lstm_probe.probing.inference.scores import effects
from lstm_probe.recorder import record
from lstm_probe.recorder.exact import record_lstm


def recorded(inputs, lengths=None, units=3, layers=1):
    torch.manual_seed(0)
    return record(nn.LSTM(inputs.shape[-1], units, layers, batch_first=True), inputs, lengths=lengths)


def view_of(rec, signals, folds=4, lag=0):
    checked = check_signals(signals, rec.mask.numpy())
    return View.make(checked, rec.lengths.numpy(), Split.make(len(rec), folds), lag)


def test_time_predictions_are_the_training_parts_means():
    rng = np.random.default_rng(0)
    lengths = torch.tensor([6, 4, 6, 5, 3, 6, 6, 2, 5, 6])
    rec = recorded(torch.randn(10, 6, 2), lengths)
    view = view_of(rec, {"v": rng.normal(size=(10, 6)) + np.arange(6), "b": rng.random((10, 6)) > 0.5})
    got = time_predictions(view)
    for sequence in range(10):
        others = view.split.fold != view.split.fold[sequence]
        overall = view.columns[others][view.mask[others]].mean(0)
        for step in range(int(lengths[sequence])):
            there = view.columns[others][view.mask[others][:, step], step]
            expected = (there.sum(0) + overall) / (len(there) + 1)
            assert got[sequence, step] == pytest.approx(expected, abs=1e-12)
    assert not got[~view.mask].any()


def test_what_depends_on_the_step_alone_is_known_from_the_step():
    rec = recorded(torch.randn(40, 12, 2))
    step = np.tile(np.arange(12.0), (40, 1))
    noise = np.random.default_rng(1).normal(size=(40, 12))
    signals = {"step": step, "late": step > 7, "third": (step % 3).astype(int), "noise": noise}
    effect = time_only(view_of(rec, signals))
    assert effect[:3] == pytest.approx([1, 1, 1], abs=2e-3) and effect[3] < 0.01


def test_the_untrained_levels_are_of_all_units_and_initialisations_together():
    x, rng = torch.randn(30, 8, 2), np.random.default_rng(3)
    rec = recorded(x, units=4, layers=2)
    signals = {"sum": x[..., 0].cumsum(1).numpy(), "bit": rng.random((30, 8)) > 0.5}
    study = make_study(rec, signals, None, (0, 1), ("c", "f"), 3, 7, bootstrap=2)
    others = [untrained_recording(rec, ("c", "f"), k, 7, rec.config) for k in range(3)]
    got = untrained_effects(study, others, lambda z, view: evaluate_units(z, view).score)
    assert got.shape == (2, 2, 4, 2)
    pooled = []
    for k in range(3):
        other = record(rec.config.build(derive_seed(7, "untrained", k)), x)
        view = study.views[1]
        pooled.append(effects(evaluate_units(view.features(other[1].f), view).score, view))
    assert got[0, 1, 3] == pytest.approx(np.percentile(np.concatenate(pooled), 95, axis=0))
    assert got[1, 1, 3] == pytest.approx(np.concatenate(pooled).max(axis=0))


def test_untrained_networks_begin_as_the_trained_one_did(tmp_path):
    """A raised forget bias alone makes memories last: a baseline without it would be beaten by nothing learned."""
    model, x = SequenceModel(2, 1, 4, layers=2, seed=1, forget_bias=2.0), torch.randn(30, 12, 2)
    twin, stored = nn.LSTM(2, 4, 2, batch_first=True), record(model.lstm, [x], to=tmp_path / "stored")
    for rec in (record(model, x), next(stored.shards())[0]):
        (config,) = rec.config.usual
        other = untrained_recording(rec, ("c", "f"), 3, 7, config)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(7, "untrained", 3))
            for weights in twin.parameters():
                nn.init.uniform_(weights, -0.5, 0.5)
        with torch.no_grad():
            twin.bias_ih_l0[4:8] += 2
            twin.bias_ih_l1[4:8] += 2
            assert torch.allclose(other[1].c, record(twin, x)[1].c, atol=1e-6)


def test_input_types_are_vectors_if_many_recur_and_prefixes_else():
    mask = np.ones((50, 12), bool)
    rng = np.random.default_rng(0)
    alphabet = np.eye(25)[rng.integers(0, 25, (50, 12))]
    types = input_types(alphabet, mask)
    assert len(np.unique(types)) == 25
    assert np.array_equal(
        types[..., None] == types.ravel()[:25],
        alphabet.argmax(-1)[..., None] == alphabet.argmax(-1).ravel()[:25],
    )
    bits = rng.integers(0, 2, (50, 12, 1)).astype(float)
    bits[bits == 0] = -0.0
    bits[::2][bits[::2] == 0] = 0.0
    types = input_types(bits, mask)
    prefixes = {}
    for sequence in range(50):
        for step in range(12):
            prefixes.setdefault(types[sequence, step], set()).add(tuple(bits[sequence, : step + 1, 0]))
    assert all(len(seen) == 1 for seen in prefixes.values())
    assert len(prefixes) == len(set.union(*prefixes.values()))


def test_a_control_task_is_a_function_of_the_input_type_with_the_signals_own_distribution():
    rng = np.random.default_rng(0)
    x = torch.eye(40)[torch.from_numpy(rng.integers(0, 40, (80, 30)))]
    rec = recorded(x)
    checked = check_signals(
        {"v": rng.exponential(size=(80, 30)), "c": rng.choice(["a", "b", "c"], (80, 30))}, rec.mask.numpy()
    )
    for signal, control in zip(checked, control_signals(rec, checked, rec.mask.numpy(), 0)):
        by_type = [np.unique(control.values[x.argmax(-1).numpy() == k]) for k in range(40)]
        assert all(len(values) == 1 for values in by_type)
        assert np.isin(control.values, signal.values).all()
        assert control.values.mean() == pytest.approx(signal.values.mean(), rel=0.4)
        assert (control.kind, control.classes) == (signal.kind, signal.classes)


def test_a_memorising_probe_is_found_out_by_its_control_task():
    """All of a look-up table's score is repeated on random labels; a held-out R² of it is the same."""
    rng = np.random.default_rng(1)
    symbols = rng.integers(0, 30, (100, 20))
    rec = recorded(torch.eye(30)[torch.from_numpy(symbols)])
    checked = check_signals({"v": rng.normal(size=30)[symbols]}, rec.mask.numpy())
    (control,) = control_signals(rec, checked, rec.mask.numpy(), 0)
    table = np.array([control.values[symbols == k].mean() for k in range(30)])
    assert r2_score(control.values.ravel(), table[symbols].ravel()) == pytest.approx(1)


def test_shared_recordings_of_untrained_networks_are_those_made_anew(monkeypatch):
    rec = recorded(torch.randn(9, 7, 2), torch.tensor([7, 5, 7, 3, 7, 7, 1, 7, 6]), layers=2)
    own = rec.config

    def three(names):
        return [untrained_recording(rec, names, k, 4, own) for k in range(3)]

    alone = [three(names) for names in (["h", "c"], ["c"], ["i"])]
    made = []
    monkeypatch.setattr(baselines, "record_lstm", lambda *given: made.append(given) or record_lstm(*given))
    with untrained_once():
        shared = [three(names) for names in (["h", "c"], ["c"], ["i"])]
        assert len(made) == 6  # c was there already
        untrained_recording(rec, ["c"], 0, 5, own), untrained_recording(recorded(rec.inputs), ["c"], 0, 4, own)
        keras = untrained_recording(rec, ["c"], 0, 4, replace(own, init="keras"))
        assert len(made) == 9 and not torch.equal(keras[0].c, shared[0][0][0].c)
        monkeypatch.setattr(baselines, "MOST_KEPT", 0)
        untrained_recording(rec, ["c"], 7, 4, own), untrained_recording(rec, ["c"], 7, 4, own)
        assert len(made) == 11
    for one, other in zip(chain(*alone), chain(*shared)):
        assert one.config == other.config
        for a, b in zip(one, other):
            assert a.variables == b.variables and all(torch.equal(a[v], b[v]) for v in a.variables)
    untrained_recording(rec, ["c"], 0, 4, own)
    assert len(made) == 12  # nothing is kept afterwards


def test_other_sequences_of_the_same_shape_have_recordings_of_their_own():
    one = recorded(torch.randn(9, 7, 2))
    other = recorded(one.inputs.flip(1))
    alone = untrained_recording(other, ["c"], 0, 4, other.config)
    with untrained_once():
        first = untrained_recording(one, ["c"], 0, 4, one.config)
        second = untrained_recording(other, ["c"], 0, 4, other.config)
        again = untrained_recording(recorded(one.inputs.clone()), ["c"], 0, 4, one.config)
    assert torch.equal(second[0].c, alone[0].c) and not torch.equal(second[0].c, first[0].c)
    assert torch.equal(again[0].c, first[0].c)
