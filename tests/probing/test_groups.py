"""`groups=` and `null="shift"` in every analysis: folds, intervals, what is refused and what is said."""

import inspect
import logging

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import LinearRegression

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.probing import Split
from lstm_probe.probing.analyses.confounds import partial_effects
from lstm_probe.probing.analyses.curved import curved_units
from lstm_probe.probing.analyses.description import Cut, description_length
from lstm_probe.probing.analyses.tuning import tuning_curves
from lstm_probe.probing.data.study import make_study
from lstm_probe.probing.inference.intervals import bootstrap_weights
from lstm_probe.probing.inference.untrained import LEAST_SEQUENCES, random_part
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording
from tests.probing.streaming.shards import Stream

SIZES = [5, 3, 4, 4, 3, 5, 4, 4, 3, 5]
OWN = np.random.default_rng(9).permutation(np.repeat(np.arange(10), SIZES))
N, TIME = len(OWN), 6
FAST = {"permutations": 99, "bootstrap": 60, "untrained": 1}


def data(seed=0, units=3):
    rng = np.random.default_rng(seed)
    level = rng.normal(size=(10, units))[OWN][:, None]
    c = rng.normal(size=(N, TIME, units)) + level
    v = rng.normal(size=(N, TIME)) + level[..., 0]
    part = LayerRecording(0, "forward", torch.randn(N, TIME, 1), c=torch.from_numpy(c))
    rec = Recording({(0, "forward"): part}, torch.full((N,), TIME), LSTMConfig(1, units))
    return rec, {"v": v, "b": (v + rng.normal(size=v.shape) > 0).astype(int)}, c


def test_groups_come_right_after_the_split_and_are_not_used_unasked():
    for function in (lp.probe_units, lp.probe_populations, lp.memory_curves, lp.power, curved_units, partial_effects):
        names = list(inspect.signature(function).parameters)
        assert names[names.index("split") + 1] == "groups"
        assert inspect.signature(function).parameters["groups"].default is None


def test_folds_hold_whole_groups_and_fewer_folds_than_groups_are_made_fewer():
    rec, signals, _ = data()
    study = make_study(rec, signals, None, (0,), None, 4, 0, groups=OWN.astype(str))
    assert all(len(np.unique(study.split.fold[k == OWN])) == 1 for k in range(10)) and study.split.folds == 4
    assert all(len(np.unique(study.groups[k == OWN])) == 1 for k in range(10)) and study.groups.max() == 9
    assert make_study(rec, signals, None, (0,), None, 5, 0, groups=OWN % 3).split.folds == 3


def test_an_interval_is_students_over_groups_drawn_as_one():
    rec, signals, c = data()
    table = lp.probe_units(rec, {"v": signals["v"]}, groups=OWN, **(FAST | {"bootstrap": 4000}))
    study = make_study(rec, signals, None, (0,), None, 5, 0, groups=OWN)
    for unit in range(3):
        x, y = c[..., unit], signals["v"]
        z = np.arctanh(np.corrcoef(x.ravel(), y.ravel())[0, 1])
        rng, drawn = np.random.default_rng(0), []
        for _ in range(1500):
            rows = np.concatenate([np.flatnonzero(k == OWN) for k in rng.integers(10, size=10)])
            drawn.append(np.arctanh(np.corrcoef(x[rows].ravel(), y[rows].ravel())[0, 1]))
        half = stats.t.ppf(0.975, 9) * np.sqrt(10 / 9) * np.std(drawn)
        ends = np.tanh([z - half, z + half])
        errors = 0.0
        for fold in range(5):
            out = study.split.fold == fold
            fit = LinearRegression().fit(x[~out].reshape(-1, 1), y[~out].ravel())
            errors += np.square(y[out].ravel() - fit.predict(x[out].reshape(-1, 1))).sum()
        score = 1 - errors / np.square(y - y.mean()).sum()
        row = table[table["unit"] == unit].iloc[0]
        assert row["score"] == pytest.approx(score)
        assert row["ci_low"] == pytest.approx(max(0, min(score, ends[0] ** 2 if ends.prod() > 0 else 0)), abs=0.03)
        assert row["ci_high"] == pytest.approx(max(score, np.square(ends).max()), abs=0.06)


def test_bootstrap_weights_draw_groups_as_one():
    weights = bootstrap_weights(N, 500, 1, OWN)
    assert weights.shape == (500, N)
    for k in range(10):
        assert (weights[:, k == OWN] == weights[:, k == OWN][:, :1]).all()
    each = weights[:, [np.flatnonzero(k == OWN)[0] for k in range(10)]]
    assert (each.sum(1) == 10).all() and each.var(0).mean() == pytest.approx(0.9, abs=0.1)


def test_intervals_of_everything_are_wider_where_groups_are_drawn():
    rec, signals, _ = data()
    for probe, settings in ((lp.probe_units, FAST), (lp.probe_populations, {"bootstrap": 200, "untrained": 1}),
                            (partial_effects, {"bootstrap": 200}), (tuning_curves, {"bootstrap": 200})):  # fmt: skip
        wide, narrow = (probe(rec, signals, groups=own, **settings) for own in (OWN, None))
        assert (wide["ci_high"] - wide["ci_low"]).mean() > 1.15 * (narrow["ci_high"] - narrow["ci_low"]).mean()


@pytest.mark.parametrize("function", [lp.probe_units, lp.probe_populations, lp.memory_curves, lp.signal_codes, lp.power,
                                      partial_effects, lp.cross_time, lp.sparse_paths, tuning_curves,
                                      description_length])  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_line(function):
    rec, signals, _ = data()
    with pytest.raises(InputError, match=rf"groups: shape \({N - 1},\); there are {N} sequences") as told:
        function(rec, signals, groups=OWN[:-1])
    assert len(told.value.problems) == 1
    if "split" in inspect.signature(function).parameters:
        with pytest.raises(InputError, match=r"split: separates \d+ of 10 groups; a group is held out as a whole"):
            function(rec, signals, split=Split.make(N, 4), groups=OWN)
        function(rec, signals, split=Split.make(N, 4, groups=OWN), groups=OWN)


def test_a_single_group_is_said_in_one_sentence_and_nothing_is_found(caplog):
    rec, _, c = data()
    with caplog.at_level(logging.WARNING):
        table = lp.probe_units(rec, {"v": c[..., 0]}, groups=["a"] * N, **FAST)
    told = [own.getMessage() for own in caplog.records]
    assert sum("all sequences are of one group, so nothing can be tested" in own for own in told) == 1
    assert (table["p_family"] == 1).all() and table["score"].max() == pytest.approx(1)
    power = lp.power(rec, {"v": c[..., 0]}, groups=["a"] * N, permutations=99)
    assert power["critical"].isna().all() and power["sequences_needed"].isna().all()


def test_power_says_nothing_of_what_cannot_be_tested():
    rec, signals, _ = data()
    for many, known in ((10, True), (5, False)):
        assert lp.power(rec, signals, groups=OWN % many, permutations=199)["critical"].notna().all() == known
    label = {"b": np.repeat((np.arange(7) % 2)[OWN % 7][:, None], TIME, 1)}
    assert lp.power(rec, label, groups=OWN % 7, permutations=199)["critical"].isna().all()


def test_streams_take_no_groups():
    rec, signals, _ = data()
    stream = Stream(rec, signals, [20, 20])
    for function in (lp.probe_units, lp.probe_populations, lp.memory_curves):
        with pytest.raises(InputError, match="groups: a stream of recordings takes none"):
            function(stream, groups=OWN)


def test_portions_have_whole_groups_and_there_must_be_five():
    cut = Cut.of(np.full(N, 3.0), (0.3, 0.6, 1), 0, OWN)
    for key in (cut.portion, cut.inner):
        assert all(len(np.unique(key[k == OWN])) == 1 for k in range(10))
    assert cut.count == 3
    rec, signals, _ = data()
    with pytest.raises(InputError, match="lags=0: 4 groups with sequences that are longer; an online code needs 5"):
        description_length(rec, signals, groups=OWN % 4)


def test_a_random_part_has_whole_groups_and_middle_windows():
    many = 400
    own = LayerRecording(0, "forward", torch.zeros(many, 100, 1), c=torch.randn(many, 100, 1))
    rec = Recording({(0, "forward"): own}, torch.full((many,), 100), LSTMConfig(1, 1))
    own, signals = np.random.default_rng(0).permutation(np.repeat(np.arange(40), 10)), {"v": torch.randn(many, 100)}
    part = random_part(make_study(rec, signals, None, (0,), None, 4, 0, groups=own), 0)
    assert len(part.lengths) == 16 * 10 >= LEAST_SEQUENCES and (np.bincount(part.groups) == 10).all()
    kept = part.rec.parts[0, "forward"].c
    source = [int(np.flatnonzero((rec.parts[0, "forward"].c == row).all((1, 2)))[0]) for row in kept]
    assert sum(np.isin(own, own[source])) == len(source)
    middle = random_part(make_study(rec, signals, None, (0,), None, 4, 0, null="shift"), 0, in_order=True)
    assert torch.equal(middle.rec.parts[0, "forward"].c, rec.parts[0, "forward"].c[168:232])


def test_windows_of_one_series_are_shifted_in_units_power_and_curves():
    rng = np.random.default_rng(0)
    v = rng.normal(size=(120, TIME)).cumsum(0) / 4
    part = LayerRecording(0, "forward", torch.randn(120, TIME, 1),
                          c=torch.from_numpy(np.stack([v + rng.normal(size=v.shape), v**2], -1)))  # fmt: skip
    rec = Recording({(0, "forward"): part}, torch.full((120,), TIME), LSTMConfig(1, 2))
    table = lp.probe_units(rec, {"v": v}, null="shift", **FAST)
    assert table["p_value"].min() == pytest.approx(1 / 61) and table.attrs["p_resolution"] == pytest.approx(1 / 61)
    curved = curved_units(rec, {"v": v}, probes=table, null="shift", permutations=9, untrained=1)
    assert curved["curved"].notna().all()
    assert lp.power(rec, {"v": v}, null="shift")["critical"].notna().all()
    assert lp.power(rec, {"v": v}, null="shift", alpha=0.01)["critical"].isna().all()
