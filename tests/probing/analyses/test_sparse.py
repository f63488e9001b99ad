"""Sparse paths against plain loops over the data itself."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import ElasticNet, LinearRegression, MultiTaskElasticNet, enet_path
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from torch import nn

import lstm_probe as lp
from lstm_probe.core.columns import SPARSE_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.probing import Split
from lstm_probe.probing.analyses.sparse import PENALTY_SHARES, active_sets, sparse_paths
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.view import View, standardise
from lstm_probe.probing.fits.ridge import Gram, Standardised
from tests.handmade import counter_and_latch, counting_batch

KEY = ["variable", "signal", "lag", "method", "n_units"]


def recorded(seed, units=6, n=24, time=10):
    """A recording with unequal lengths whose units are on different scales, and signals of all kinds."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    lengths = torch.from_numpy(rng.integers(4, time + 1, n))
    rec = lp.record(nn.LSTM(3, units, batch_first=True), torch.randn(n, time, 3), lengths=lengths)
    rec.c.mul_(torch.from_numpy(10.0 ** rng.integers(-3, 4, units)).float())
    x = rec.c.double().numpy()
    z = (x - x.mean((0, 1))) / x.std((0, 1))
    kind = np.stack([z[..., 2], z[..., 3], z[..., 0]], -1) + 0.5 * rng.normal(size=(n, time, 3))
    signals = {
        "mixed": z[..., 1] + 0.7 * z[..., 4] - 0.5 * z[..., 0] + 0.5 * rng.normal(size=(n, time)),
        "bit": (z[..., 0] - z[..., 2] + 0.5 * rng.normal(size=(n, time)) > 0).astype(float),
        "kind": kind.argmax(-1),
    }
    return rec, x, signals


def greedy_sets(x, y, most):
    chosen = []
    for _ in range(most):
        left = [u for u in range(x.shape[1]) if u not in chosen]
        fit = {u: LinearRegression().fit(x[:, [*chosen, u]], y).predict(x[:, [*chosen, u]]) for u in left}
        chosen.append(min(left, key=lambda u: ((y - fit[u]) ** 2).sum()))
        yield list(chosen)


def elastic_net_sets(x, y, most):
    """For each number of units the set along the path, of at most so many, that fits the training data best."""
    z = StandardScaler().fit_transform(x)
    y = y - y.mean(0)
    largest = np.linalg.norm(z.T @ y, axis=1).max() / len(z) / 0.9
    _, path, _ = enet_path(
        z, y if y.shape[1] > 1 else y[:, 0], l1_ratio=0.9, alphas=largest * PENALTY_SHARES, tol=1e-10, max_iter=100_000
    )
    sets = [tuple(np.flatnonzero(path[..., k].reshape(-1, x.shape[1]).any(0))) for k in range(path.shape[-1])]
    sets = [own for k, own in enumerate(sets) if max(map(len, sets[: k + 1])) <= most]

    def error(own):
        return ((y - LinearRegression().fit(z[:, own], y).predict(z[:, own])) ** 2).sum() if own else (y**2).sum()

    for n in range(1, most + 1):
        yield list(min((own for own in sets if len(own) <= n), key=error))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("method", "sets"), [("greedy", greedy_sets), ("elastic_net", elastic_net_sets)])
def test_scores_and_units_equal_a_loop_over_the_data(seed, method, sets):
    rec, x, signals = recorded(seed)
    most, folds = 4, 3
    table = sparse_paths(rec, signals, variables=["c"], methods=[method], most=most, folds=folds, seed=seed)
    mask = rec.mask.numpy()
    fold = np.broadcast_to(Split.make(len(x), folds, seed).fold[:, None], mask.shape)[mask]
    # On the units' own scales, 1 to 10^7, LinearRegression takes the smallest for nothing.
    flat = StandardScaler().fit_transform(x[mask])
    for name, values in signals.items():
        own = table[table.signal == name].set_index("n_units")
        y = values[mask]
        columns = np.stack([y == k for k in range(3)], 1).astype(float) if name == "kind" else y[:, None]
        predicted, picked = np.zeros((most, *columns.shape)), np.zeros((most, folds, x.shape[-1]))
        for k in range(folds):
            for n, units in enumerate(sets(flat[fold != k], columns[fold != k], most)):
                predicted[n, fold == k] = columns[fold != k].mean(0)
                if units:
                    fit = LinearRegression().fit(flat[fold != k][:, units], columns[fold != k])
                    predicted[n, fold == k] = fit.predict(flat[fold == k][:, units]).reshape(-1, columns.shape[1])
                picked[n, k, units] = 1
        for n in range(most):
            if name == "mixed":
                expected = 1 - ((columns - predicted[n]) ** 2).sum() / ((columns - columns.mean()) ** 2).sum()
            else:
                each = zip(columns.T, predicted[n].T)
                expected = np.mean([pooled_auroc(true, given, fold) for true, given in each])
            assert own.score[n + 1] == pytest.approx(expected, abs=1e-6)
            named = [u for u in range(x.shape[-1]) if picked[n, :, u].mean() > 0.5]
            assert own.chosen[n + 1] == ",".join(map(str, named))


def pooled_auroc(y, predicted, fold):
    """AUROC over pairs of steps of the same fold."""
    parts = [(y[fold == k], predicted[fold == k]) for k in np.unique(fold)]
    pairs = np.array([a.sum() * (1 - a).sum() for a, _ in parts])
    return (pairs * [roc_auc_score(a, b) for a, b in parts]).sum() / pairs.sum()


@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
def test_active_units_are_those_of_scikit_learns_elastic_net_on_the_data(l1_ratio):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(200, 7)) @ rng.normal(size=(7, 7))
    y = x[:, [1, 3]] @ rng.normal(size=(2, 3)) + rng.normal(size=(200, 3))
    mask = np.ones((20, 10), bool)
    view = View.make(
        check_signals({f"y{k}": y[:, k].reshape(20, 10) for k in range(3)}, mask), np.full(20, 10), Split.make(20, 2)
    )
    z = standardise(x.reshape(20, 10, 7), mask)
    gram = Gram.per_fold(z, view.columns, view)
    whole = Standardised.of(Gram(gram.sums.sum(0, keepdims=True), 7))
    flat, target = z.reshape(200, 7), view.columns.reshape(200, 3)
    for columns, model in (([0], ElasticNet), ([0, 1, 2], MultiTaskElasticNet)):
        largest = np.linalg.norm(flat.T @ target[:, columns], axis=1).max() / 200 / l1_ratio
        expected = set()
        for share in PENALTY_SHARES:
            fit = model(alpha=largest * share, l1_ratio=l1_ratio, tol=1e-10, max_iter=100_000)
            fit.fit(flat, target[:, columns] if len(columns) > 1 else target[:, 0])
            expected.add(tuple(np.atleast_2d(fit.coef_).any(0)))
        got = active_sets(whole.xx[0], whole.xy[0][:, columns], 7, l1_ratio)
        # Where a unit comes in just at a penalty, rounding decides; all other sets are there.
        assert len(expected ^ {tuple(row.tolist()) for row in got}) <= 1


def test_planted_units_are_the_first_and_the_only_ones_needed():
    model, batch = counter_and_latch(seed=1), counting_batch(seed=2)
    signals = {**batch.signals, "flat": torch.ones(batch.inputs.shape[:2])}
    table = sparse_paths(lp.record(model.lstm, batch.inputs), signals, lags=(0, 2), run="r", task="t", seed=3, most=3)
    assert tuple(table.columns) == tuple(SPARSE_COLUMNS)
    assert len(table) == 6 * 2 * 3 * 3 * 2 and not table.duplicated(KEY).any()
    memory = table[(table.variable == "c") & (table.lag == 0)].set_index(["signal", "method", "n_units"])
    for method in ("greedy", "elastic_net"):
        assert memory.chosen["count", method, 1] == "3" and memory.score["count", method, 1] > 0.99
        assert memory.chosen["latch", method, 1] == "5" and memory.effect["latch", method, 1] > 0.99
    flat = table[table.signal == "flat"]
    assert flat.score.isna().all() and flat.effect.isna().all() and (flat.chosen == "").all()


def test_a_doubled_unit_takes_one_place_only_in_greedy_selection():
    rng = np.random.default_rng(2)
    torch.manual_seed(0)
    rec = lp.record(nn.LSTM(2, 5, batch_first=True), torch.randn(40, 12, 2, generator=torch.Generator().manual_seed(0)))
    rec.c[..., 4] = 1e5 * rec.c[..., 1]
    signals = {"two": rec.c[..., 1].numpy() + 0.1 * rec.c[..., 2].numpy() + 1e-3 * rng.normal(size=(40, 12))}
    table = sparse_paths(rec, signals, variables=["c"], most=9).set_index(["method", "n_units"])
    assert table.index.get_level_values("n_units").max() == 5
    assert table.chosen["greedy", 2] in ("1,2", "2,4") and table.score["greedy", 2] > 0.99
    # The elastic net takes both of the pair at once.
    assert table.chosen["elastic_net", 3] == "1,2,4" and table.score["elastic_net", 3] > 0.99
    assert (table.score["greedy"].diff().iloc[1:] > -1e-3).all()


def test_bad_input_is_named():
    rec = lp.record(nn.LSTM(1, 2, batch_first=True), torch.randn(6, 5, 1))
    with pytest.raises(InputError) as error:
        sparse_paths(rec, {"s": torch.randn(6, 5)}, methods=["greedi"], most=0, l1_ratio=0, folds=9)
    assert [p.split(":")[0] for p in error.value.problems] == ["most=0", "methods=greedi", "l1_ratio=0", "folds=9"]
    assert "Did you mean 'greedy'?" in str(error.value)
    with pytest.raises(InputError, match="methods: there are none"):
        sparse_paths(rec, {"s": torch.randn(6, 5)}, methods=[])
