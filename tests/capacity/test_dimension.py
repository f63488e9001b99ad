"""How much of its memory a network fills: against scikit-learn, closed forms, and planted networks."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA

import lstm_probe as lp
from lstm_probe.capacity.dimension import COLUMNS, _bits, _mean_over, _near_copies, _times, effective_dimension
from lstm_probe.causal.halves import halves_of
from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.dimension import participation_ratio
from lstm_probe.runs.illustrations import dimension_rows
from tests.capacity.made import PLANTED, REFUSED, TAKEN, batch_of, plant
from tests.causal.sums import PARTS
from tests.handmade import OPEN, copied, counter_and_latch, counting_batch

N, TIME = 400, 10


def test_numbers_are_those_of_the_recording() -> None:
    model, batch = counter_and_latch(3), counting_batch(1, n=64)
    (row,) = effective_dimension(model, batch, run="r", task="t", seed=2).to_dict("records")
    assert list(row) == list(COLUMNS) and (row["run"], row["task"], row["units"], row["seed"]) == ("r", "t", 8, 2)
    c = lp.record(model, batch.inputs).c.flatten(0, 1).double().numpy()
    variances = PCA().fit(c).explained_variance_
    assert row["dimension"] == pytest.approx(variances.sum() ** 2 / np.square(variances).sum(), rel=1e-6)
    assert np.isnan(row["dimension_held"]) and row["near_copies"] == 0
    assert (row["unread"], row["carried"]) == (6, 0)
    idle = lp.record(model, batch.inputs)
    mostly = [unit for unit in range(8)
              if any((gate[..., unit] < 0.1).double().mean() >= 0.5 or (gate[..., unit] > 0.9).double().mean() >= 0.5
                     for gate in (idle.i, idle.f, idle.o))]  # fmt: skip
    assert row["saturated"] == len(mostly) >= 2


@pytest.mark.parametrize("dimensions", [1, 3, 7])
def test_of_a_round_cloud_it_is_the_number_of_its_dimensions(dimensions: int) -> None:
    rng = np.random.default_rng(0)
    turned = np.linalg.qr(rng.normal(size=(12, 12)))[0][:dimensions]
    assert participation_ratio(rng.normal(size=(40_000, dimensions)) @ turned) == pytest.approx(dimensions, rel=0.01)


def test_while_something_is_held_a_code_that_turns_counts_once() -> None:
    rng = np.random.default_rng(0)
    values, turns = rng.normal(size=(N, 3)), [np.linalg.qr(rng.normal(size=(12, 12)))[0][:3] for _ in range(TIME)]
    begins = rng.integers(0, 3, N)
    held = np.arange(TIME) >= begins[:, None]
    c = np.zeros((N, TIME, 12))
    for n in range(N):
        for step in range(begins[n], TIME):
            c[n, step] = values[n] @ turns[step - begins[n]] + 5 * (step - begins[n])
    times = _times(held, 12)
    assert [int(own.sum()) for own in times[:3]] == [N, N, N] and not any(own[:, 0].any() for own in times)
    assert _mean_over(times, [participation_ratio(c[own]) for own in times]) == pytest.approx(3, rel=0.03)
    assert participation_ratio(c[held] - c[held].mean(0)) != pytest.approx(3, rel=0.2)
    assert _times(held[:20], 12) == [] and np.isnan(_mean_over([], []))


def test_copies_and_what_nobody_reads_are_counted() -> None:
    torch.manual_seed(0)
    model = TAKEN["last states of both directions"](PLANTED)
    plant(model)
    table = effective_dimension(model, batch_of(16))
    assert table[["layer", "direction"]].values.tolist() == [[k, d] for k in (0, 1) for d in ("forward", "reverse")]
    assert (table["unread"] == 2).all() and (table["carried"] == 4).all()
    assert (table["near_copies"] >= 3).all() and (table["bits_signal"] == "").all() and table["bits"].isna().all()
    refused = effective_dimension(REFUSED["residual"][0](PLANTED), batch_of(16))
    assert refused[["unread", "carried"]].isna().all(axis=None) and refused["dimension"].notna().all()


def test_near_copies_may_have_their_sign_turned_and_constants_are_none() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 1000))
    c = np.stack([a, b, -a + 0.01 * b, 0 * a + 3, 0 * a + 3, b + 0.5 * a], axis=1)
    assert _near_copies(c) == 2


def bits_of(c: np.ndarray, values: np.ndarray, kind: str = "continuous") -> float:
    steps = np.ones(values.shape, dtype=bool)
    return _bits(c, Signal("s", torch.from_numpy(values), kind), steps, halves_of(N, None, 0))  # type: ignore[arg-type]


@pytest.mark.parametrize("r2", [0.0, 0.5, 0.9, 0.99])
def test_bits_of_a_gaussian_are_those_of_its_channel(r2: float) -> None:
    rng = np.random.default_rng(1)
    signal, noise = rng.normal(size=(2, N, TIME))
    c = np.stack([r2**0.5 * signal + (1 - r2) ** 0.5 * noise, rng.normal(size=(N, TIME))], axis=-1)
    truth = -0.5 * np.log2(1 - r2)
    assert truth - 0.15 <= bits_of(c, signal) <= truth + 0.03


def test_bits_of_classes_and_uniform_numbers_are_never_more_than_their_entropy() -> None:
    rng = np.random.default_rng(2)
    for share in (0.5, 0.1):
        label = (rng.random((N, TIME)) < share).astype(float)
        entropy = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
        told = bits_of(label[..., None] + 0.01 * rng.normal(size=(N, TIME, 1)), label, "binary")
        assert entropy - 0.06 <= told <= entropy + 0.03
        assert bits_of(rng.normal(size=(N, TIME, 2)), label, "binary") < 0.01
    kinds = rng.integers(0, 4, (N, TIME))
    assert 1.8 <= bits_of(np.eye(4)[kinds], kinds.astype(float), "categorical") <= 2.001
    # c = s + uniform noise of a tenth of its range: at most log2 10 and what the ends give away.
    signal = rng.random((N, TIME))
    told = bits_of((signal + 0.1 * rng.random((N, TIME)))[..., None], signal)
    assert 2.8 <= told <= np.log2(11)
    assert bits_of(signal[..., None], signal) <= 6.001


def test_bits_are_added_up_only_where_signals_are_apart() -> None:
    net = lp.planted.combine(PARTS, random_units=2, seed=1)
    batch = net.sample(128, length=30, seed=1)
    (row,) = effective_dimension(net.model, batch).to_dict("records")
    assert row["bits_signal"] == "count" and row["bits"] > 1.1
    assert row["bits"] + 1.5 <= row["bits_together"] <= row["bits"] + 2.001
    double = dict(batch.signals) | {"again": Signal("again", batch.signals["latch"].values, "binary", "latent")}
    (row,) = effective_dimension(net.model, type(batch)(**{**vars(batch), "signals": double})).to_dict("records")
    assert np.isnan(row["bits_together"]) and row["bits_signal"] == "count"


def test_copies_of_a_latch_are_near_copies_and_open() -> None:
    net = lp.planted.latch(random_units=3, seed=4)
    others = [unit for unit in range(4) if unit != net.where["latch"]]
    model = copied(net.model, net.where["latch"], others[:1])
    (row,) = effective_dimension(model, net.sample(40, length=30, seed=1)).to_dict("records")
    assert OPEN > 9 and (row["near_copies"], row["unread"], row["carried"]) == (2, 2, 1)


def test_the_small_table_fits_a_terminal_and_leaves_out_what_is_missing() -> None:
    row = dict.fromkeys(COLUMNS, 1) | {
        "direction": "forward",
        "dimension_held": np.nan,
        "bits": 2.5,
        "bits_signal": "a",
    }
    small = dimension_rows(pd.DataFrame([row]))
    assert list(small) == ["layer", "direction", "dims", "unread", "copies", "near", "shut", "bits", "all"]
    assert small["bits"].tolist() == ["2.50 of a"]
    none = dimension_rows(pd.DataFrame([row | {"bits": np.nan, "bits_signal": None, "bits_together": np.nan}]))
    assert "bits" not in none and "all" not in none


@pytest.mark.parametrize("kind", ["continuous", "binary"])
def test_units_that_know_nothing_hold_no_bits_however_many_they_are(kind: str) -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(N, 2)) if kind == "continuous" else rng.integers(0, 2, size=(N, 2)).astype(float)
    assert bits_of(rng.normal(size=(N, 2, N // 2)), values, kind) <= 0.05


def test_of_a_network_without_gates_none_are_saturated():
    """The dimensions of its memory are told all the same."""
    torch.manual_seed(0)
    x = torch.randn(30, 8, 2)
    rnn = torch.nn.RNN(2, 5, batch_first=True)
    with torch.no_grad():
        h = rnn(x)[0].double().flatten(0, 1)
    values = np.linalg.eigvalsh(np.cov(h.T.numpy()))
    row = lp.effective_dimension(rnn, Batch(x, {}, (), torch.full((30,), 8), {})).iloc[0]
    assert row["dimension"] == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-5)
    assert np.isnan(row["saturated"])
