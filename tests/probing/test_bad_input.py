"""What is wrong with signals and recordings: a clear error, or a result marked as undefined; for both probes."""

import numpy as np
import pandas as pd
import pytest
import torch

from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.probing import Split, probe_populations, probe_units
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording

N, TIME, UNITS = 24, 8, 4
BOTH = pytest.mark.parametrize("probe", [probe_units, probe_populations])


def recording(units=None, lengths=None, seed=0):
    """A recording of random walks in the memories, or of these units."""
    rng = np.random.default_rng(seed)
    units = rng.normal(size=(N, TIME, UNITS)).cumsum(1) if units is None else units
    n, time, size = units.shape
    inputs = torch.from_numpy(rng.normal(size=(n, time, 1)))
    part = LayerRecording(0, "forward", inputs, c=torch.from_numpy(units))
    lengths = np.full(n, time) if lengths is None else lengths
    return Recording({(0, "forward"): part}, torch.as_tensor(lengths), LSTMConfig(1, size))


def run(probe, rec, signals, **options):
    """Probe quickly; `null` and `permutations` are of units alone."""
    fast = {"permutations": 99, "init": "torch"} if probe is probe_units else {}
    if probe is not probe_units:
        options.pop("null", None)
    return probe(rec, signals, **{"untrained": 1, "bootstrap": 20, **fast, **options})


def good(rec):
    """A signal that the first unit nearly is."""
    noise = np.random.default_rng(9).normal(size=rec.c.shape[:2])
    return rec.c[..., 0].numpy() + 0.1 * noise


def undefined(table):
    """Whether rows are marked: no score at all, and nothing tracked."""
    columns = [c for c in ("score", "effect", "ci_low", "ci_high", "p_value", "p_family", "q_value") if c in table]
    return table[columns].isna().all(axis=None) and not table.get("tracks", pd.Series([False])).any()


@BOTH
def test_constant_units_have_the_effect_0_and_are_named(probe, caplog):
    units = recording().c.numpy().copy()
    units[..., 1], units[..., 3] = 0.3, 0.0
    rec = recording(units)
    table = run(probe, rec, {"s": good(rec), "b": good(rec) > 0})
    assert not table.score.isna().any()
    if probe is probe_units:
        silent = table[table.unit.isin([1, 3])]
        assert (silent.effect < 1e-12).all() and (silent.p_value == 1).all() and not silent.tracks.any()
        assert "layer 0 forward c, lag 0: constant in 2 of 4 units (1 3); their effect is 0" in caplog.text
    else:
        assert (table.score > 0.9).all()


@BOTH
@pytest.mark.parametrize("value", [0.0, 3.7, "a", True])
def test_a_constant_signal_is_undefined_and_named(probe, value, caplog):
    table = run(probe, recording(), {"flat": np.full((N, TIME), value)})
    assert undefined(table) and "signal 'flat', lag 0: constant, or one class only" in caplog.text


@BOTH
@pytest.mark.parametrize("kind", ["binary", "categorical"])
def test_a_signal_of_one_class_is_undefined_and_named(probe, kind, caplog):
    one = Signal("one", torch.ones(N, TIME, dtype=torch.int64), kind)
    table = run(probe, recording(), {"one": one})
    assert undefined(table) and "signal 'one'" in caplog.text


@BOTH
def test_a_class_missing_from_a_fold_counts_in_the_others(probe):
    rec = recording()
    split = Split.make(N, 4)
    bit = (good(rec) > 0) & (split.fold != 0)[:, None]
    table = run(probe, rec, {"b": bit}, split=split)
    assert table.score.notna().all() and table.score.max() > 0.9


@BOTH
def test_a_class_in_no_fold_with_another_is_undefined(probe, caplog):
    """Each fold has one class only: there is no pair of steps to tell apart."""
    split = Split(np.arange(N) % 2)
    bit = np.repeat((split.fold == 0)[:, None], TIME, axis=1)
    assert undefined(run(probe, recording(), {"b": bit}, split=split))
    assert "'b', lag 0: constant, or one class only in each fold" in caplog.text


@BOTH
def test_fewer_sequences_than_folds_are_refused(probe):
    rec = recording(np.random.default_rng(0).normal(size=(4, TIME, 2)))
    with pytest.raises(InputError, match="folds=5: there are only 4 sequences; each fold needs at least one"):
        run(probe, rec, {"s": good(rec)})


@BOTH
@pytest.mark.parametrize("value", [-np.inf, np.inf])
def test_what_is_no_number_is_named_by_sequence_and_step(probe, value):
    rec = recording()
    signal = good(rec)
    signal[5, 3] = value
    with pytest.raises(InputError, match=rf"signals\['s'\]: {value} at sequence 5, step 3; real steps need a finite"):
        run(probe, rec, {"s": signal})
    lengths = np.full(N, TIME)
    lengths[5] = 3
    assert run(probe, recording(lengths=lengths), {"s": signal}).score.notna().all()


@BOTH
@pytest.mark.parametrize("kind", ["continuous", "binary", "categorical"])
def test_nothing_but_masked_steps_is_refused(probe, kind):
    rec = recording(lengths=np.zeros(N, dtype=np.int64))
    values = good(rec)
    for signal in (values, values > 0, Signal("s", torch.zeros(N, TIME, dtype=torch.int64), kind)):
        with pytest.raises(InputError, match="recording: no step of it is real: every sequence has length 0"):
            run(probe, rec, {"s": signal})


@BOTH
def test_sequences_of_no_steps_are_as_if_they_were_not_there(probe):
    lengths = np.array([0] * 4 + [TIME] * 20)
    rec = recording(lengths=lengths)
    signal, split = good(rec), Split.make(20, 4)
    whole = run(probe, rec, {"s": signal}, split=Split(np.concatenate([[0, 1, 2, 3], split.fold])))
    rest = run(probe, recording(rec.c.numpy()[4:]), {"s": signal[4:]}, split=split)
    assert whole.score.to_numpy() == pytest.approx(rest.score.to_numpy(), abs=1e-9)


@BOTH
@pytest.mark.parametrize("shape", [(N, TIME + 1), (N + 1, TIME), (TIME,), (N, TIME, 1)])
def test_a_signal_of_the_wrong_shape_is_refused(probe, shape):
    with pytest.raises(InputError) as caught:
        run(probe, recording(), {"s": np.zeros(shape)})
    assert f"signals['s']: shape {shape}; there are {N} sequences of {TIME} steps" in str(caught.value)


@BOTH
def test_units_on_any_scale_and_far_from_0_give_the_same_table(probe):
    plain = recording().c.numpy()
    signals = {"s": good(recording()), "b": good(recording()) > 0}
    scaled = plain * np.array([1e-6, 1e6, -1e-6, 1e3]) + np.array([1e-5, 1e7, 0, -1e4])
    tables = [run(probe, recording(units), signals) for units in (plain, scaled)]
    columns = ["score", "ci_low", "ci_high"] + (["p_value", "p_family"] if probe is probe_units else [])
    # Of classes, all units together have no interval.
    assert tables[1][columns].to_numpy() == pytest.approx(tables[0][columns].to_numpy(), abs=1e-6, nan_ok=True)
    assert tables[0].score.notna().all()


@BOTH
def test_perfectly_collinear_units_are_scored_as_one(probe):
    plain = recording().c.numpy()[..., :2]
    doubled = np.concatenate([plain, -3 * plain, plain.sum(-1, keepdims=True)], axis=-1)
    signals = {"s": good(recording())}
    few, many = (run(probe, recording(units), signals, untrained=19) for units in (plain, doubled))
    if probe is probe_units:
        scores = many.set_index("unit").score
        assert scores[[0, 1]].tolist() == pytest.approx(scores[[2, 3]].tolist(), abs=1e-9)
        assert many[many.unit.isin([0, 2])].tracks.all()
    else:
        assert many.score.item() == pytest.approx(few.score.item(), abs=1e-3)
        assert many.n_units_90.item() == 1


@BOTH
def test_whole_numbers_of_many_levels_are_a_quantity(probe):
    rec = recording()
    levels = np.round(10 * good(rec)).astype(np.int64)
    assert len(np.unique(levels)) > 50
    table = run(probe, rec, {"n": levels})
    same = run(probe, rec, {"n": levels.astype(np.float64)})
    assert set(table.kind) == {"continuous"} and set(table.metric) == {"r2"}
    assert table.score.tolist() == same.score.tolist() and table.score.max() > 0.9


@BOTH
@pytest.mark.parametrize("folds", [2, 5])
def test_a_single_sequence_is_refused(probe, folds):
    rec = recording(np.random.default_rng(0).normal(size=(1, 200, 2)))
    with pytest.raises(InputError, match=f"folds={folds}: a single sequence cannot be held out from itself"):
        run(probe, rec, {"s": good(rec)}, folds=folds)


def test_so_few_sequences_that_nothing_can_be_exchanged_are_scored_and_not_tested_and_rolled_instead(caplog):
    rng = np.random.default_rng(2)
    rec = recording(rng.normal(size=(2, 400, 3)))
    signals = {"s": good(rec), "noise": rng.normal(size=(2, 400))}
    table = run(probe_units, rec, signals, folds=2)
    told = "2 sequences: only 2 different exchanges of it: nothing can be found of s, noise"
    assert told in caplog.text and "null=roll rolls" in caplog.text
    assert table["score"].notna().all() and not table.tracks.any() and table["p_family"].min() > 0.05
    table = run(probe_units, rec, signals, folds=2, null="roll", untrained=19)
    assert table[table.tracks][["signal", "unit"]].values.tolist() == [["s", 0]]


def test_a_null_that_there_is_not_is_refused():
    rec = recording()
    with pytest.raises(InputError, match=r"null=rol: must be one of shuffle roll shift. Did you mean"):
        run(probe_units, rec, {"s": good(rec)}, null="rol")

    class Shards:
        def shards(self):
            return iter(())

    with pytest.raises(InputError, match="null=roll: a stream of recordings can only be probed with shuffle"):
        probe_units(Shards(), {}, null="roll")
