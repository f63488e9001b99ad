"""Signals that are labelled at the ends of sequences of unequal lengths: one label for each sequence, for instance."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import roc_auc_score

import lstm_probe as lp
from lstm_probe.probing import Split
from lstm_probe.probing.analyses.curved import curved_null
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.study import make_study
from lstm_probe.probing.inference import testable
from lstm_probe.probing.inference.ends import line_up
from lstm_probe.probing.inference.exchange import LengthGroups, make_exchange
from lstm_probe.probing.inference.exchange_warnings import warn_of_unmoved
from lstm_probe.probing.inference.nulls import study_test
from tests.probing.test_labels import recording, walks

TIME = 9
#: Groups of 16 and 18 sequences, cut to 7 and 4 steps.
LENGTHS = np.random.default_rng(3).permutation(np.array([9] * 5 + [8] * 8 + [7] * 3 + [5] * 9 + [4] * 9))
N = len(LENGTHS)
CUT = np.where(LENGTHS >= 7, 7, 4)


def at_the_end(values, count=1, lengths=LENGTHS):
    """A signal that is known at the last steps of each sequence alone."""
    left = lengths[:, None] - np.arange(values.shape[1])
    return np.where((left >= 1) & (left <= count), values, np.nan)


def exchanged(values, order, cut):
    """The last steps of other sequences in the place of these, as many as all of them have: by a loop."""
    out = np.full(values.shape, np.nan)
    for here, there in enumerate(order):
        for back in range(1, cut[here] + 1):
            out[here, LENGTHS[here] - back] = values[there, LENGTHS[there] - back]
    return out


def best_score(x, y, fold, kind):
    """The held-out score of the best unit, at the steps that are labelled."""
    known, scores = ~np.isnan(y), []
    for unit in range(x.shape[-1]):
        off, excess, pairs = 0.0, np.zeros(3), np.zeros(3)
        for k in range(3):
            seen, out = (known & own[:, None] for own in (fold != k, fold == k))
            if kind == "v":
                fit = LinearRegression().fit(x[seen][:, [unit]], y[seen])
                off += np.square(y[out] - fit.predict(x[out][:, [unit]])).sum()
            else:
                pairs[k] = (y[out] == 1).sum() * (y[out] == 0).sum()
                excess[k] = (roc_auc_score(y[out], x[out][:, unit]) - 0.5) * pairs[k] if pairs[k] else 0
        signs = [np.sign(round(excess.sum() - one, 9)) for one in excess]
        about = np.square(y[known] - y[known].mean()).sum()
        scores.append(1 - off / about if kind == "v" else 0.5 + (signs * excess).sum() / pairs.sum())
    return max(scores)


@pytest.mark.parametrize("kind", ["v", "b"])
@pytest.mark.parametrize(("count", "lag", "size"), [(1, 0, 1), (3, 0, 1), (3, 2, 1), (1, 0, 2), (3, 2, 2)])
def test_what_is_exchanged_are_the_labels_at_the_ends(kind, count, lag, size):
    """Every permutation's score is that of a loop over the labels; without ends only the shortest kept theirs."""
    units = walks(0, N, TIME, 3)
    values = units[..., 0] + np.random.default_rng(7).normal(size=(N, TIME))
    given = at_the_end(values if kind == "v" else 1.0 * (values > 0), count)
    groups = np.repeat(np.arange(N // size), size) if size > 1 else None
    split = Split.make(N, 3, groups=groups)
    study = make_study(recording(LENGTHS, units), {kind: given}, split, (lag,), None, 3, 0, groups=groups)
    exchange = make_exchange("shuffle", study.lengths, study.groups)
    cut = CUT if groups is None else exchange.lengths
    found = study_test(study, exchange, 9, seed=4)
    for which, order in enumerate(exchange.permutations(9, 4)):
        y = exchanged(given, order, cut)[:, : TIME - lag]
        y[np.arange(TIME - lag) + lag >= LENGTHS[:, None]] = np.nan
        expected = best_score(units[:, lag:], y, split.fold, kind)
        own = found.observed[0, :, 0].max() if which == 0 else found.best[0, which - 1]
        assert own == pytest.approx(expected, abs=1e-5)


def test_a_perfect_unit_is_found_in_few_sequences_and_chance_is_not():
    """Thirty sequences of 5 to 30 steps, the state of a latch asked at the end; its label thrown by a coin."""
    rng, found = np.random.default_rng(0), []
    for seed in range(12):
        net = lp.planted.combine([lp.planted.Latch()], random_units=2, seed=seed)
        batch, lengths = net.sample(30, length=30, seed=seed), rng.integers(5, 31, 30)
        latch = np.asarray(batch.signals["latch"].values, dtype=float)
        last = latch[np.arange(30), lengths - 1]
        if not 6 <= last.sum() <= 24:
            continue
        coin = rng.integers(0, 2, (30, 30)).astype(float)
        signals = {name: at_the_end(own, 1, lengths) for name, own in (("latch", latch), ("coin", coin))}
        rec = lp.record(net.model, batch.inputs, lengths=torch.as_tensor(lengths))
        table = lp.probe_units(rec, signals, variables=["c"], permutations=199, bootstrap=10, untrained=1, seed=seed)
        found.append(table.groupby("signal").p_family.min())
    least = pd.DataFrame(found)
    assert len(least) >= 6
    assert (least["latch"] <= 0.05).all()
    assert (least["coin"] <= 0.05).sum() <= 2


def test_chance_is_kept_where_states_and_lengths_go_together():
    """Of units that drift, a label that has to do with nothing is found in about one of twenty data sets."""
    hits = []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        lengths = rng.integers(4, 13, 40)
        units = walks(seed, 40, 12, 2) + np.arange(12)[:, None]
        label = {"v": at_the_end(rng.normal(size=(40, 12)), 1, lengths)}
        study = make_study(recording(lengths, units), label, Split.make(40, 4, seed), (0,), None, 4, 0)
        found = study_test(study, make_exchange("shuffle", lengths), 39, seed)
        hits.append(found.p_family.min() <= 0.05)
    assert 0.0 < np.mean(hits) <= 0.11  # four of 80, and what 80 data sets may add to them


@pytest.mark.parametrize("size", [1, 2])
def test_a_label_at_the_end_counts_as_many_arrangements_as_one_of_the_whole_sequence(size):
    """Where lengths differ a little, too: which of eight sequences, or pairs of them, have a label."""
    lengths = np.array([9, 8, 9, 7, 9, 9, 8, 9]).repeat(size)
    groups = np.repeat(np.arange(8), size) if size > 1 else None
    every = np.repeat(np.array([0, 0, 0, 0, 1, 1, 1, 0]).repeat(size)[:, None], TIME, 1)
    mask = np.arange(TIME) < lengths[:, None]
    (whole,) = check_signals({"y": every}, mask)
    (last,) = check_signals({"y": at_the_end(every, 1, lengths)}, mask)
    exchange = make_exchange("shuffle", lengths, groups)
    for alpha, possible in ((1 / 56, True), (0.99 / 56, False)):
        for signal in (whole, last):
            assert testable.testable_signals(exchange, [signal], groups, 999, alpha).each.tolist() == [possible]


def test_short_sequences_that_are_left_over_are_asked_too():
    """They cost no label at the end, whereas to cut all others to their length would cost these steps."""
    lengths = np.array([30] * 20 + [6] * 5 + [0] * 2)
    values = np.random.default_rng(0).normal(size=(27, 30))
    mask = np.arange(30) < lengths[:, None]
    (last,) = check_signals({"y": at_the_end(values, 1, lengths)}, mask)
    exchange = LengthGroups.of(lengths)
    assert [len(own) for own in exchange.members] == [20]
    lined = line_up(exchange, [last])
    assert [len(own) for own in lined.exchange.members] == [25]
    assert lined.exchange.lengths.tolist() == [1] * 25 + [0] * 2
    assert lined.signals[0].labelled is None or lined.signals[0].labelled.sum() == 25
    assert lined.signals[0].values[:25, 0] == pytest.approx(values[np.arange(25), lengths[:25] - 1])
    rows = torch.arange(27 * 30.0).reshape(27, 30, 1)
    assert lined.values(rows)[:25, 0, 0].tolist() == [30 * k + n - 1 for k, n in enumerate(lengths[:25])]


def test_a_label_that_goes_with_the_length_is_not_moved(caplog):
    """To exchange sequences of about the same length changes nothing of it, nor can it be tested."""
    lengths = np.array([9] * 15 + [8] + [5] * 15 + [4])
    every = np.repeat(1.0 * (lengths >= 8)[:, None], TIME, 1)
    signals = check_signals({"long": at_the_end(every, 1, lengths)}, np.arange(TIME) < lengths[:, None])
    exchange = make_exchange("shuffle", lengths)
    assert not warn_of_unmoved(exchange, signals).any()
    assert "null=shuffle: long: alike in all sequences of a length" in caplog.text
    assert testable.testable_signals(exchange, signals, None, 999, 0.05).reasons == ("the null leaves it as it is",)


def test_signals_that_lose_nothing_stay_where_they_are():
    lengths = np.array([9] * 20 + [7] * 20)
    mask = np.arange(9) < lengths[:, None]
    start = np.where(np.arange(9) < 2, 1.0 * mask + np.arange(9), np.nan) + np.arange(40)[:, None]
    signals = check_signals({"first": start, "all": walks(0, 40, 9)}, mask)
    for null in ("shuffle", "roll"):
        for signal in signals:
            lined = line_up(make_exchange(null, lengths), [signal])
            assert lined.steps is None
            assert lined.signals[0] is signal


def test_curves_are_asked_about_the_labels_at_the_ends():
    """A square told at the last step alone, of units that a straight line says nothing of."""
    units = walks(0, N, TIME, 3)
    given = {"v": at_the_end(units[..., 1] ** 2), "full": walks(9, N, TIME)}
    study = make_study(recording(LENGTHS, units), given, Split.make(N, 3), (0,), None, 3, 0)
    p = curved_null(study, np.array([True, True]), make_exchange("shuffle", LENGTHS), 199, 3, np.ones(2, bool))
    assert p[0, 1, 0] == pytest.approx(2 / 200)
    assert p[0, 0, 0] > 0.05
    assert (p[0, :, 1] > 0.05).all()
