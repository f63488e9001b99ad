"""Clusters of units by task variance: planted ones found, none in random units, and all numbers by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import ortho_group
from sklearn.metrics import adjusted_rand_score, silhouette_score

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.probing.analyses.clusters import COLUMNS, cluster_rows, cluster_sentences, clustered, covariances
from tests.probing.analyses.test_matching import recording

LABELS = np.repeat(np.arange(3), 20)


def planted(rng, groups, other=0.2, units=5):
    """Units of which each group varies in one condition above all, beside a trend that all sequences share."""
    x = rng.normal(size=(60, 10, groups * units)) * np.where(LABELS[:, None] == np.arange(groups * units) // units,
                                                             1, other)[:, None]  # fmt: skip
    return x * 10.0 ** rng.integers(-2, 3, groups * units) + np.arange(10)[:, None] * rng.normal(size=groups * units)


def test_planted_clusters_are_found():
    rng = np.random.default_rng(0)
    table = lp.unit_clusters(recording(planted(rng, 3)), None, by=LABELS, rotations=39, run="r", task="t")
    assert list(table.columns) == list(COLUMNS) and len(table) == 15 * 3
    units = table.drop_duplicates("unit")
    assert adjusted_rand_score(units["unit"] // 5, units["cluster"].astype(int)) == 1
    assert (table["n_clusters"] == 3).all() and table["found"].all() and (table["p_rotation"] == 1 / 40).all()
    assert (table["mean_silhouette"] > table["rotated_high"] + 0.3).all()
    peak = table.loc[table.groupby("unit")["share"].idxmax()]
    assert (peak["condition"].astype(int) == peak["unit"] // 5).all() and (peak["share"] == 1).all()


def test_units_that_are_turned_at_random_have_no_clusters():
    found = []
    for seed in range(8):
        x = planted(np.random.default_rng(seed), 3)
        x = (x - x.mean((0, 1))) / x.std((0, 1))
        turned = x @ ortho_group.rvs(15, random_state=seed)
        found.append(lp.unit_clusters(recording(turned), None, by=LABELS, rotations=19, most=3)["p_rotation"].iloc[0])
    assert sum(p <= 0.05 for p in found) <= 3  # of 8 at 1 in 20: more than 3 come once in 2,600


def bursts(rng):
    """Twelve units, each with a burst in two sequences of its own, whatever the conditions."""
    x = 0.01 * rng.normal(size=(60, 10, 12))
    for unit in range(12):
        x[rng.choice(60, 2, replace=False), :, unit] += rng.normal(size=(2, 1))
    return x


def test_what_a_few_sequences_have_of_their_own_is_no_cluster_of_conditions():
    """A unit varies in the condition in which its bursts happen to lie; no random direction does so as clearly."""
    turned, found = 0, 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        table = lp.unit_clusters(recording(bursts(rng)), None, by=rng.permutation(60) % 2, rotations=19, most=3)
        turned, found = turned + (table["p_rotation"].iloc[0] <= 0.05), found + table["found"].iloc[0]
    assert turned >= 4 and found <= 2  # of 8 at 1 in 20: more than 2 come once in 170


def test_whole_groups_are_exchanged():
    """Five subjects of each condition and twelve sequences each, alike within a subject, whatever its condition."""
    rng = np.random.default_rng(3)
    subject = np.repeat(np.arange(10), 12)
    scale = np.exp(rng.normal(size=(10, 12)))[subject][:, None]  # how much each unit varies in a subject
    rec, label = recording(rng.normal(size=(120, 10, 12)) * scale), subject % 2
    alone = lp.unit_clusters(rec, None, by=label, rotations=39, most=2)
    whole = lp.unit_clusters(rec, None, by=label, rotations=39, most=2, groups=subject)
    assert alone["p_shuffled"].iloc[0] == 1 / 40 and whole["p_shuffled"].iloc[0] > 0.05


def test_conditions_that_go_with_the_step_cannot_be_exchanged():
    x = planted(np.random.default_rng(4), 3)
    steps = np.tile(np.arange(10) // 5, (60, 1))
    assert lp.unit_clusters(recording(x), None, by=steps, rotations=9, most=2)["p_shuffled"].eq(1).all()


def test_variances_are_those_step_by_step():
    rng = np.random.default_rng(1)
    lengths = rng.integers(3, 9, 30)
    x, condition = rng.normal(size=(30, 8, 4)), rng.choice(["go", "stop"], (30, 8))
    rec = recording(x, lengths=lengths)
    table = lp.unit_clusters(rec, {"rule": condition}, by="rule", rotations=1)
    real = np.concatenate([x[s, :n] for s, n in enumerate(lengths)])
    for row in table.itertuples():
        squares, freedom, n = 0.0, 0, 0
        for t in range(8):
            own = [x[s, t, row.unit] for s in range(30) if t < lengths[s] and condition[s, t] == row.condition]
            if len(own) > 1:
                squares, freedom, n = squares + np.sum((own - np.mean(own)) ** 2), freedom + len(own) - 1, n + len(own)
        assert row.variance == pytest.approx(squares / freedom / real[:, row.unit].var()) and row.n == n
        largest = table[table["unit"] == row.unit]["variance"].max()
        assert row.share == pytest.approx(row.variance / largest)


def test_covariances_of_turned_units_are_turned():
    rng = np.random.default_rng(2)
    x, code = rng.normal(size=(12, 6, 3)), rng.integers(-1, 2, (12, 6))
    turn = ortho_group.rvs(3, random_state=0)
    own, turned = covariances(x, code, 2)[0], covariances(x @ turn, code, 2)[0]
    assert turned == pytest.approx(np.einsum("ud,cuv,ve->cde", turn, own, turn))


def test_the_number_of_clusters_is_that_of_the_best_silhouette():
    rng = np.random.default_rng(3)
    points = np.concatenate([rng.normal(size=(n, 3)) * 0.05 + at for n, at in ((4, 0), (7, 1), (5, 2), (6, 3))])
    labels, silhouette = clustered(points, 8, 0)
    assert np.bincount(labels).tolist() == [7, 6, 5, 4]  # from the largest on
    assert silhouette.mean() == pytest.approx(silhouette_score(points, labels))
    assert clustered(points, 3, 0)[0].max() < 3
    assert clustered(np.ones((5, 2)), 4, 0)[1] is None and clustered(points[:2], 4, 0)[1] is None


def test_constant_units_are_in_no_cluster_and_few_units_have_none():
    x = planted(np.random.default_rng(4), 3)
    x[..., 4] = 7
    table = lp.unit_clusters(recording(x, x[..., :2]), None, by=LABELS, rotations=9)
    assert table[(table["layer"] == 0) & (table["unit"] == 4)][["cluster", "share", "silhouette"]].isna().all(axis=None)
    assert table[(table["layer"] == 0) & (table["unit"] != 4)]["cluster"].notna().all()
    few = table[table["layer"] == 1]
    assert few[["cluster", "mean_silhouette", "p_rotation"]].isna().all(axis=None) and not few["found"].any()
    assert few["share"].notna().all()


def test_a_condition_that_hardly_occurs_is_left_out(caplog):
    x = planted(np.random.default_rng(8), 3)
    rare = np.where(np.arange(60) == 3, "b", np.array(["a", "b", "c"])[np.where(LABELS == 1, 2, LABELS)])
    rare[LABELS == 1] = "a"
    rare[[21]] = "b"  # one sequence beside the one above: 20 steps with two sequences
    rare = np.where(np.arange(60) == 50, "d", rare)  # a single one
    table = lp.unit_clusters(recording(x), None, by=rare, rotations=1, most=2)
    assert table["condition"].unique().tolist() == ["a", "b", "c"] and "condition d, which is left out" in caplog.text
    whole = lp.unit_clusters(recording(np.delete(x, 50, 0)), None, by=np.delete(rare, 50), rotations=1, most=2)
    assert table["share"].to_numpy() == pytest.approx(whole["share"].to_numpy())


def test_targets_come_before_other_signals():
    rng = np.random.default_rng(5)
    rec, shape = recording(rng.normal(size=(40, 6, 4))), (40, 6)
    bits = [torch.as_tensor(rng.integers(0, 2, shape)) for _ in range(3)]
    signals = {
        "near": Signal("near", bits[0], "binary", "distractor"), "level": rng.normal(size=shape),
        "goal": Signal("goal", bits[1], "binary", "target"), "held": Signal("held", bits[2], "binary", "latent"),
    }  # fmt: skip
    options = {"rotations": 3, "most": 3}
    assert lp.unit_clusters(rec, signals, **options)["by"].unique().tolist() == ["goal"]
    assert lp.unit_clusters(rec, signals, by="held", **options)["by"].unique().tolist() == ["held"]


def test_words_say_clusters_only_where_there_are_some():
    rng = np.random.default_rng(6)
    table = lp.unit_clusters(recording(planted(rng, 3)), None, by=np.array(["x", "y", "z"])[LABELS], rotations=39)
    own = table[table["unit"] == 12]
    (told,) = cluster_sentences(own, None)
    assert "of its c in each value of label it is in cluster" in told and "where that is z" in told
    assert f"of 3 (silhouette {own['silhouette'].iloc[0]:.2f})" in told
    assert list(cluster_sentences(own.assign(found=False), None)) == []
    assert cluster_rows(table)["n_clusters"].tolist() == [3] and len(cluster_rows(table)) == 1


@pytest.mark.parametrize(
    ("signals", "options", "message"),
    [
        ({"level": np.ones((60, 10)).cumsum(1)}, {}, "by: none of the signals is binary or categorical"),
        (
            {"bit": LABELS > 0, "level": np.ones((60, 10))},
            {"by": "level"},
            "by=level: 1 conditions; .* 2 to 64",
        ),
        (None, {"by": np.zeros(60, dtype=int)}, "by: 1 conditions; there must be 2 to 64"),
        (None, {"by": LABELS[:5]}, "by: .*5"),
        (None, {"by": np.where(np.arange(60) == 3, "a", "b")}, "too few sequences are at the same step in condition a"),
        (None, {"by": LABELS, "most": 1}, "most=1: must be a whole number from 2"),
        (None, {"by": LABELS, "rotations": 0}, "rotations=0: must be a whole number from 1"),
        (None, {"by": LABELS, "variables": ["q"]}, "variables=q: must be among those recorded: c"),
    ],
)
def test_bad_input(signals, options, message):
    x = planted(np.random.default_rng(7), 3)
    with pytest.raises(InputError, match=message):
        lp.unit_clusters(recording(x), signals, **options)


def test_tasks_with_classes_have_conditions():
    for name in ("evidence", "compose"):
        task = lp.get_task(name)
        batch = task.sample(24, 0)
        lstm = torch.nn.LSTM(len(task.input_names), 6, batch_first=True)
        table = lp.unit_clusters(lp.record(lstm, batch.inputs, lengths=batch.lengths), batch.signals, rotations=2)
        assert len(table) == 6 * table["condition"].nunique() and isinstance(table, pd.DataFrame)


def test_units_of_a_part_of_a_composition_cluster_by_it():
    task = lp.get_task("compose", parts=["flipflop:bits=2,length=12", "parity:length=12"])
    batch = task.one_varies(40, 0)
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(3, 10, batch_first=True)
    with torch.no_grad():
        lstm.weight_hh_l0.zero_()  # units hear their own lines alone: six those of the flip-flop, four the bits
        for gate in range(4):
            lstm.weight_ih_l0[10 * gate : 10 * gate + 6, 2:] = 0
            lstm.weight_ih_l0[10 * gate + 6 : 10 * gate + 10, :2] = 0
    rec = lp.record(lstm, batch.inputs, lengths=batch.lengths)
    table = lp.unit_clusters(rec, batch.signals, by="varies", rotations=39)
    wide = table.pivot(index="unit", columns="condition", values="share").to_numpy()
    assert wide == pytest.approx(np.repeat([[1.0, 0], [0, 1]], [6, 4], axis=0))
    assert table["found"].all() and (table["n_clusters"] == 2).all()
    assert table.drop_duplicates("unit")["cluster"].tolist() == [0] * 6 + [1] * 4


def test_of_conditions_in_which_a_unit_varies_alike_none_is_called_the_one_in_which_it_varies_most():
    """Units that vary in one condition, in two, and in all three; sample variances differ by a few percent."""
    labels = np.repeat(np.arange(3), 40)
    scale = np.array([[1, 0.2, 0.2]] * 4 + [[1, 1, 0.2]] * 4 + [[1, 1, 1]] * 4)
    x = np.random.default_rng(0).normal(size=(120, 40, 12)) * scale.T[labels][:, None]
    table = lp.unit_clusters(recording(x), None, by=labels, rotations=19)
    assert table["found"].all()
    wheres = [next(cluster_sentences(own, None)).partition("; it varies ")[2] for _, own in table.groupby("unit")]
    alone, two, every = "most where that is 0.", "most where that is 0 or 1.", "about as much in each."
    assert wheres == [alone] * 4 + [two] * 4 + [every] * 4
