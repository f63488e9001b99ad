"""Steps without a label are in no statistic of a signal, in any analysis; every other signal is as it was."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import roc_auc_score

from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.probing import Split, probe_populations, probe_units
from lstm_probe.probing.analyses.coding import signal_codes
from lstm_probe.probing.analyses.confounds import partial_effects, signal_correlations
from lstm_probe.probing.analyses.cross_time import cross_time
from lstm_probe.probing.analyses.curved import curved_units
from lstm_probe.probing.analyses.description import description_length
from lstm_probe.probing.analyses.memory import memory_curves
from lstm_probe.probing.analyses.power import power
from lstm_probe.probing.analyses.sparse import sparse_paths
from lstm_probe.probing.analyses.tuning import tuning_curves
from lstm_probe.probing.data.study import make_study
from lstm_probe.probing.inference.exchange import make_exchange
from lstm_probe.probing.inference.nulls import study_test
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording

N, TIME, UNITS = 24, 9, 3
KEYS = {"signal", "unit", "lag", "variable", "level", "n_units", "fitted", "tested", "method"}


def walks(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).cumsum(1)


def recording(lengths=None, units=None):
    """A recording of random walks in the memories."""
    units = walks(0, N, TIME, UNITS) if units is None else units
    inputs = torch.from_numpy(np.random.default_rng(1).normal(size=(*units.shape[:2], 1)))
    part = LayerRecording(0, "forward", inputs, c=torch.from_numpy(units))
    lengths = np.full(len(units), units.shape[1]) if lengths is None else lengths
    return Recording({(0, "forward"): part}, torch.as_tensor(lengths), LSTMConfig(1, units.shape[2]))


def signals():
    """A number, a yes or no, and one of three classes, all of which units say something of."""
    c = walks(0, N, TIME, UNITS)
    noise = np.random.default_rng(7).normal(size=(3, N, TIME))
    third = np.digitize(c[..., 2] + 0.3 * noise[2], [-1, 1])
    return {"v": c[..., 0] + noise[0], "b": (c[..., 1] + noise[1] > 0) * 1.0, "k": np.array(["p", "q", "r"])[third]}


def holed(values, known):
    """The signal with no label where it is not known."""
    if values.dtype.kind == "U":
        return np.where(known, values.astype(object), None)
    return np.where(known, values, np.nan)


def probes(rec, given, split):
    return probe_units(rec, given, split=split, permutations=19, bootstrap=30, untrained=1, alpha=0.5, min_effect=0)


ANALYSES = {
    "probes": probes,
    "populations": lambda r, s, p: probe_populations(r, s, split=p, bootstrap=30, untrained=1),
    "logistic": lambda r, s, p: probe_populations(r, s, split=p, bootstrap=5, untrained=1, estimator="logistic"),
    "memory": lambda r, s, p: memory_curves(r, s, split=p, lags=[0], untrained=1),
    "codes": lambda r, s, p: signal_codes(r, s, split=p, rotations=19),
    "confounds": lambda r, s, p: partial_effects(r, s, split=p, bootstrap=30),
    "tuning": lambda r, s, _: tuning_curves(r, s, bootstrap=30),
    "description": lambda r, s, _: description_length(r, s),
    "cross_time": lambda r, s, p: cross_time(r, s, split=p, steps=2),
    "sparse": lambda r, s, p: sparse_paths(r, s, split=p),
    "curved": lambda r, s, p: curved_units(r, s, split=p, probes=probes(r, s, p), permutations=19, untrained=1),
}


def agree(one, other):
    """Two tables say the same, apart from what a permutation, or another untrained network's data, decides."""
    left_out = {"p_value", "p_family", "q_value", "tracks", "tracks_curved", "steps"}
    for key in one.columns:
        if key not in left_out:
            a, b = one[key], other[key]
            if pd.api.types.is_numeric_dtype(a):
                assert a.to_numpy(float) == pytest.approx(b.to_numpy(float), abs=1e-6, nan_ok=True), key
            else:
                assert a.tolist() == b.tolist(), key


@pytest.mark.parametrize("name", ANALYSES)
def test_labels_that_end_are_as_sequences_that_end(name):
    """Steps after a sequence's end are in no statistic: so are steps without a label."""
    lengths = np.random.default_rng(3).integers(3, TIME + 1, size=N)
    lengths[:2] = TIME
    known, split, plain = np.arange(TIME) < lengths[:, None], Split.make(N, 3), signals()
    run, mixed = ANALYSES[name], {"full": plain["v"], **{key: holed(own, known) for key, own in plain.items()}}
    table = run(recording(), mixed, split)
    given = [{"full": plain["v"]}, plain]
    if name == "cross_time":  # windows are cut by the longest sequence
        assert lengths.max() == TIME
    alone = [run(rec, own, split) for rec, own in zip((recording(), recording(lengths)), given)]
    if name == "confounds":  # what is known everywhere is known at these steps too
        alone[1] = run(recording(lengths), {**plain, "full": plain["v"]}, split)
        alone[1] = alone[1][alone[1]["signal"] != "full"]
    if name == "codes":
        alone[1] = run(recording(lengths), {**plain, "full": plain["v"]}, split)
        alone[1] = alone[1][alone[1]["signal"] != "full"]
    whole = table["signal"] == "full"
    agree(table[whole], alone[0])
    agree(table[~whole], alone[1])


@pytest.mark.parametrize("share", [0.8, 0.15])
def test_scores_are_those_of_a_loop_over_labelled_steps(share):
    known = np.random.default_rng(5).random((N, TIME)) < share
    rec, split, plain = recording(), Split.make(N, 3), signals()
    table = probes(rec, {key: holed(plain[key], known) for key in ("v", "b")}, split).set_index(["signal", "unit"])
    c = rec.c.numpy()
    for unit in range(UNITS):
        off, held, excess, pairs = [], [], 0.0, 0.0
        signs = []
        for fold in range(3):
            seen, out = (known & own[:, None] for own in (split.fold != fold, split.fold == fold))
            fit = LinearRegression().fit(c[seen][:, [unit]], plain["v"][seen])
            off += [*(plain["v"][out] - fit.predict(c[out][:, [unit]]))]
            held += [*plain["v"][out]]
            each = [known & (split.fold == f)[:, None] for f in range(3) if f != fold]
            signs.append(sum(auroc(c[m][:, unit], plain["b"][m])[0] for m in each))
        for fold, sign in enumerate(signs):
            own, count = auroc(*(v[known & (split.fold == fold)[:, None]] for v in (c[..., unit], plain["b"])))
            excess, pairs = excess + np.sign(sign) * own, pairs + count
        expected = 1 - np.square(off).sum() / np.square(held - np.mean(held)).sum()
        assert table.score["v", unit] == pytest.approx(expected, abs=1e-9)
        assert table.score["b", unit] == pytest.approx(0.5 + excess / pairs, abs=1e-6)


def auroc(values, labels):
    """(AUROC − ½) × pairs, and the pairs."""
    count = labels.sum() * (1 - labels).sum()
    return ((roc_auc_score(labels, values) - 0.5) * count if count else 0.0), count


@pytest.mark.parametrize("null", ["shuffle", "roll"])
@pytest.mark.parametrize("lag", [0, 2])
def test_labels_move_along_with_signals_in_the_null(null, lag):
    """Every permutation's score of a number is that of a loop over the steps that are labelled then."""
    known = np.random.default_rng(5).random((N, TIME)) < 0.6
    v, split, rec = holed(signals()["v"], known), Split.make(N, 3), recording()
    study = make_study(rec, {"v": v, "full": signals()["v"]}, split, (lag,), None, 3, 0)
    exchange = make_exchange(null, study.lengths)
    found = study_test(study, exchange, 12, seed=4)
    c = rec.c.numpy()
    for which, moves in enumerate(exchange.permutations(12, 4)):
        moved = v[moves] if null == "shuffle" else np.stack([np.roll(row, by) for row, by in zip(v, moves)])
        y, x = moved[:, : TIME - lag], c[:, lag:]
        scores = []
        for unit in range(UNITS):
            off, real = 0.0, ~np.isnan(y)
            for fold in range(3):
                seen, out = (real & own[:, None] for own in (split.fold != fold, split.fold == fold))
                fit = LinearRegression().fit(x[seen][:, [unit]], y[seen])
                off += np.square(y[out] - fit.predict(x[out][:, [unit]])).sum()
            scores.append(1 - off / np.square(y[real] - y[real].mean()).sum())
        if which == 0:
            assert found.observed[0, :, 0] == pytest.approx(scores, abs=1e-5)
        else:
            assert found.best[0, which - 1] == pytest.approx(max(scores), abs=1e-5)


def test_classes_keep_their_labels_in_the_null():
    """Against a loop: positives' ranks among all steps, less those of all that are labelled."""
    known = np.random.default_rng(5).random((N, TIME)) < 0.6
    b, split, rec = holed(signals()["b"], known), Split.make(N, 3), recording()
    study = make_study(rec, {"b": b}, split, (0,), None, 3, 0)
    exchange = make_exchange("shuffle", study.lengths)
    found = study_test(study, exchange, 9, seed=4)
    for which, moves in enumerate(exchange.permutations(9, 4)):
        scores = []
        for unit in range(UNITS):
            excess, pairs = np.zeros(3), np.zeros(3)
            for fold in range(3):
                own = b[moves][split.fold == fold].ravel()
                ranks = pd.Series(rec.c[split.fold == fold][..., unit].numpy().ravel()).rank().to_numpy()
                yes, either = own == 1, ~np.isnan(own)
                pairs[fold] = yes.sum() * (either & ~yes).sum()
                excess[fold] = (ranks[yes] - ranks[either].mean()).sum() * either.sum() / len(own)
            signs = [np.sign(excess.sum() - one) for one in excess]
            scores.append(0.5 + (signs * excess).sum() / pairs.sum())
        if which == 0:
            assert found.observed[0, :, 0] == pytest.approx(scores, abs=1e-6)
        else:
            assert found.best[0, which - 1] == pytest.approx(max(scores), abs=1e-6)


@pytest.mark.parametrize("known", ["phases", "last"])
@pytest.mark.parametrize("lag", [0, 2])
@pytest.mark.parametrize("size", [1, 2])
def test_classes_that_are_known_at_the_same_steps_have_their_own_aurocs_in_the_null(known, lag, size):
    """Against scikit-learn's, of the labelled steps alone: others, where units may be anywhere, do not count."""
    at = np.isin(np.arange(TIME), [1, 4] if known == "phases" else [TIME - 1 - lag])
    groups = np.repeat(np.arange(N // size), size) if size > 1 else None
    split, rec = Split.make(N, 3, groups=groups), recording()
    b, c = holed(signals()["b"], np.tile(at, (N, 1))), rec.c.numpy()
    study = make_study(rec, {"b": b}, split, (lag,), None, 3, 0, groups=groups)
    exchange = make_exchange("shuffle", study.lengths, study.groups)
    found = study_test(study, exchange, 9, seed=4)
    for which, moves in enumerate(exchange.permutations(9, 4)):
        y, scores = b[moves][:, : TIME - lag], []
        for unit in range(UNITS):
            x, excess, pairs = c[:, lag:, unit], np.zeros(3), np.zeros(3)
            for fold in range(3):
                own = ~np.isnan(y) & (split.fold == fold)[:, None]
                excess[fold], pairs[fold] = auroc(x[own], y[own])
            signs = [np.sign(round(excess.sum() - one, 9)) for one in excess]
            scores.append(0.5 + (signs * excess).sum() / pairs.sum())
        if which == 0:
            assert found.observed[0, :, 0] == pytest.approx(scores, abs=1e-6)
        else:
            assert found.best[0, which - 1] == pytest.approx(max(scores), abs=1e-6)


def test_the_null_holds_its_level_where_labels_are_missing():
    """Of signals that no unit has to do with, about one in twenty is found at 0.05."""
    hits = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rec = recording(units=walks(seed, 20, 8, 2))
        known = rng.random((20, 8)) < rng.uniform(0.2, 0.9)
        own = {
            "v": holed(rng.normal(size=(20, 8)).cumsum(1), known),
            "b": holed(1.0 * (rng.random((20, 8)) < 0.5), known),
        }
        study = make_study(rec, own, Split.make(20, 4, seed), (0,), None, 4, 0)
        hits.append(study_test(study, make_exchange("shuffle", study.lengths), 39, seed).p_value.min((0, 1)) <= 0.05)
    assert 0.02 <= np.mean(hits) <= 0.2  # the better of two units


def test_memory_counts_steps_of_which_what_is_asked_is_known():
    known = np.random.default_rng(5).random((N, TIME)) < 0.7
    plain, rec, split = signals()["v"], recording(), Split.make(N, 3)
    table = memory_curves(rec, {"v": holed(plain, known)}, split=split, lags=[3], untrained=1)
    c, off, y = rec.c.numpy()[:, 3:, 0], 0.0, plain[:, :-3]
    both, itself = known[:, :-3] & known[:, 3:], 0.0
    for fold in range(3):
        held = (split.fold == fold)[:, None]
        for x, mask in ((c, known[:, :-3]), (plain[:, 3:], both)):
            fit = LinearRegression().fit(x[mask & ~held][:, None], y[mask & ~held])
            error = np.square(y[mask & held] - fit.predict(x[mask & held][:, None])).sum()
            off, itself = (off + error, itself) if x is c else (off, itself + error)
    spread = [np.square(y[m] - y[m].mean()).sum() for m in (known[:, :-3], both)]
    assert table.score[0] == pytest.approx(1 - off / spread[0], abs=1e-9)
    assert table.signal_itself[0] == pytest.approx(max(0, 1 - itself / spread[1]), abs=1e-9)


def test_correlations_are_of_steps_where_both_are_labelled():
    rng, plain = np.random.default_rng(2), signals()
    first, second = rng.random((2, N, TIME)) < 0.6
    given = {"v": holed(plain["v"], first), "b": holed(plain["b"], second), "w": plain["v"] ** 2}
    table = signal_correlations(recording(), given).set_index(["signal", "other"])
    for a, b, both in (("v", "b", first & second), ("v", "w", first), ("b", "w", second)):
        x, y = (plain["v"] ** 2 if key == "w" else plain[key] for key in (a, b))
        assert table.r[a, b] == table.r[b, a] == pytest.approx(np.corrcoef(x[both], y[both])[0, 1])


def test_what_no_step_or_one_fold_alone_is_labelled_for_has_no_score(caplog):
    split, plain = Split.make(N, 3), signals()
    one = np.repeat((split.fold == 0)[:, None], TIME, axis=1)
    given = {"none": np.full((N, TIME), np.nan), "one": holed(plain["v"], one), "v": plain["v"]}
    given["k"] = Signal("k", torch.full((N, TIME), torch.nan), "categorical")
    for name, run in ANALYSES.items():
        if name in ("description", "tuning"):
            continue
        table = run(recording(), given, split)
        without = table[table["signal"] != "v"]
        shown = [c for c in ("score", "effect", "partial", "ci_low", "p_value", "best_effect", "curved") if c in table]
        assert without[shown].isna().all(axis=None), name
        assert table[table["signal"] == "v"][shown].notna().any(axis=None), name
    assert "signal 'none', lag 0" in caplog.text and "'one', lag 0" in caplog.text
    table = tuning_curves(recording(), given, bootstrap=5)
    assert set(table["signal"]) == {"v", "one"} and table[table["signal"] == "one"]["n"].max() <= one.sum()
    with pytest.raises(InputError, match="0 sequences have a label of none"):
        description_length(recording(), given)


def test_power_is_of_the_labelled_steps():
    known = np.random.default_rng(5).random((N, TIME)) < 0.2
    plain = signals()["v"]
    table = power(recording(), {"full": plain, "few": holed(plain, known)}, folds=3, permutations=99, alpha=0.2)
    critical = table.groupby("signal")["critical"].first()
    assert critical["few"] > critical["full"]


def test_lags_against_lags_need_all_labels():
    known = np.random.default_rng(5).random((N, TIME)) < 0.7
    with pytest.raises(InputError, match="along=lag: needs signals that are labelled at every step; not so are v"):
        cross_time(recording(), {"v": holed(signals()["v"], known)}, along="lag", lags=[0, 1])


def test_a_stream_needs_all_labels():
    class Shards:
        def shards(self):
            return iter([(recording(), {})])

    values = signals()["v"]
    values[4, 2] = np.nan
    with pytest.raises(InputError, match=r"signals\['v'\]: nan at sequence 4, step 2; real steps need a finite value"):
        probe_units(Shards(), {"v": values}, permutations=19, bootstrap=10, untrained=1)


def test_of_a_cue_it_is_not_known_what_its_present_value_would_tell():
    """What is labelled at one step alone has no present value beside a past one: effects say who keeps it."""
    cue = np.random.default_rng(0).normal(size=N)
    units = np.repeat(cue[:, None, None], TIME, 1) * np.ones(UNITS) * (np.arange(TIME) >= 3)[:, None]
    given = holed(np.tile(cue[:, None], (1, TIME)), np.tile(np.arange(TIME) == 2, (N, 1)))
    table = memory_curves(recording(units=units), {"cue": given}, lags=[1, 4], permutations=99)
    assert table["effect"].to_numpy() == pytest.approx(1) and table["signal_itself"].isna().all()
    assert not table["held"].any()
