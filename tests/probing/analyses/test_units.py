"""Which unit tracks what: hand-built networks whose answer is known, noise, and bad input."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lstm_probe.core.columns import PROBE_COLUMNS
from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.probing import Split, probe_units
from lstm_probe.probing.analyses import units
from lstm_probe.probing.inference.nulls import study_test
from lstm_probe.recorder import record
from tests.handmade import counter_and_latch, counting_batch, shuffled

FAST = {"permutations": 199, "bootstrap": 50, "untrained": 19}
ROUGH = FAST | {"untrained": 2}  # nothing is tracked beside so few


def lstm(inputs, units, seed=0, **options):
    torch.manual_seed(seed)
    return nn.LSTM(inputs, units, batch_first=True, **options)


def walks(rng, n, time):
    """Noise that remembers."""
    steps = rng.normal(size=(n, time))
    for t in range(1, time):
        steps[:, t] += 0.9 * steps[:, t - 1]
    return steps


@pytest.fixture(scope="module")
def planted():
    model, batch = counter_and_latch(seed=1), counting_batch(seed=2)
    return probe_units(record(model.lstm, batch.inputs), batch.signals, run="here", task="planted", seed=4, **FAST)


@pytest.mark.parametrize("seed", range(3))
def test_planted_units_are_named_wherever_they_stand(seed):
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    model, batch = shuffled(counter_and_latch(seed), order), counting_batch(seed + 10)
    table = probe_units(record(model.lstm, batch.inputs), batch.signals, seed=seed, **FAST)
    for signal, planted_at in (("count", 3), ("latch", 5)):
        memory = table[(table.signal == signal) & (table.variable == "c")].set_index("unit")
        unit = order.tolist().index(planted_at)
        assert memory.effect.idxmax() == unit
        assert memory.effect[unit] > 0.99 and memory.tracks[unit]
        own = table[(table.unit == unit) & (table.signal != signal)]
        assert not own.tracks.any()


def test_table_has_the_declared_columns_and_one_row_for_each_pair(planted):
    assert tuple(planted.columns) == tuple(PROBE_COLUMNS)
    keys = ["layer", "direction", "variable", "unit", "signal", "lag"]
    assert len(planted) == 6 * 8 * 2 and not planted.duplicated(keys).any()
    assert planted[["run", "task", "units", "seed"]].drop_duplicates().values.tolist() == [["here", "planted", 8, 4]]
    assert planted.tracks.dtype == planted.testable.dtype == bool and planted.testable.all()
    assert not planted.drop(columns=["past_swap", "depth"]).isna().any(axis=None)
    assert planted.attrs["origins"] == ["torch"] and planted.attrs["deep"]
    metric = planted.groupby("signal")[["kind", "role", "metric"]].first()
    assert metric.loc["count"].tolist() == ["continuous", "target", "r2"]
    assert metric.loc["latch"].tolist() == ["binary", "target", "auroc"]


def test_numbers_hold_together(planted):
    effect = np.where(planted.metric == "r2", planted.score, 2 * planted.score - 1).clip(0)
    assert planted.effect.to_numpy() == pytest.approx(effect)
    assert (planted.ci_low <= planted.ci_high).all()
    assert planted.p_value.min() == 1 / 200 and (planted.p_family >= planted.p_value).all()
    assert (planted.q_value >= planted.p_value).all()
    bar = np.where(planted.metric == "r2", 0.25, 0.46)

    def share(baseline):
        """How much of what a baseline leaves open is closed."""
        return (planted.effect - baseline) / (1 - baseline)

    held = (planted.effect >= bar) & (planted.p_family <= 0.05)
    for column, least in (("input_only", 0.01), ("time_only", 0.01), ("past_swap", 0.02)):
        strong = planted.effect >= bar
        for known in ("input_only", "time_only"):
            strong &= (share(planted[known]) >= 0.2) & (planted.effect >= planted[known] + 0.01)
        if column == "past_swap":  # measured where all else about effects is met
            assert (planted.past_swap.notna() == strong).all()
        held &= (share(planted[column]) >= 0.2) & (planted.effect >= planted[column] + least)
    assert (planted.depth.notna() == held).all() and held.any()
    assert (planted.tracks == (held & (planted.p_untrained <= 0.05))).all()
    assert ((planted.p_untrained * 20).round(9) % 1 == 0).all() and planted.p_untrained.min() == 0.05
    # Beyond reach of what untrained units show at best.
    assert (planted.untrained <= planted.untrained_best).all()
    assert (planted.effect[planted.tracks] > planted.untrained_best[planted.tracks]).all()
    assert planted.groupby(["signal", "variable"]).untrained.nunique().max() == 1


def test_the_table_survives_its_file(planted, tmp_path):
    planted.to_parquet(tmp_path / "probes.parquet")
    back = pd.read_parquet(tmp_path / "probes.parquet")
    pd.testing.assert_frame_equal(back, planted)
    assert back.attrs == planted.attrs
    assert (back.attrs["p_resolution"], back.attrs["p_family_resolution"]) == (1 / 200, 2 / 200)
    assert not back.attrs["dependence"]["dependent"]


def test_the_same_seed_gives_the_same_table_and_another_another():
    model, batch = counter_and_latch(seed=1), counting_batch(seed=2, n=40)
    tables = [probe_units(record(model.lstm, batch.inputs), batch.signals, seed=s, **ROUGH) for s in (3, 3, 5)]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not np.allclose(tables[0].score, tables[2].score, atol=1e-6)


def test_noise_is_not_tracked():
    """White and autocorrelated, continuous and binary, over 20 seeds: at most 1 % of pairs."""
    tracked, alone, pairs = 0, 0, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = torch.from_numpy(walks(rng, 48, 25)[..., None]).float()
        walk = walks(rng, 48, 25)
        signals = {
            "walk": walk,
            "side": walk > 0,
            "white": rng.normal(size=(48, 25)),
            "still": np.repeat(rng.normal(size=(48, 1)), 25, 1),
        }
        table = probe_units(
            record(lstm(1, 8, seed), x), signals, seed=seed, permutations=99, bootstrap=2, init="torch", untrained=19,
            margin=0, min_effect=0, min_effect_class=0, least_margin=0, least_swap=0,
        )  # fmt: skip
        tracked, pairs = tracked + table.tracks.sum(), pairs + len(table)
        alone += (table.p_family <= 0.05).sum()
    # Even without thresholds on effects, by significance alone; and that without a look at untrained networks.
    assert tracked / pairs <= 0.01 and alone / pairs <= 0.01


def test_the_step_index_alone_is_never_tracked():
    x = torch.ones(40, 20, 1)
    step = np.tile(np.arange(20.0), (40, 1)) + 1e-3 * np.random.default_rng(0).normal(size=(40, 20))
    table = probe_units(record(lstm(1, 4), x), {"step": step}, **FAST)
    assert table.effect.max() > 0.5 and not table.tracks.any()


def test_a_copy_of_the_input_is_not_tracked_but_its_past_is():
    """A unit that shows the previous input: lag 1 is its own doing, lag 0 nobody's."""
    model = lstm(1, 2, seed=0)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.zero_()
        # Unit 0 writes the input into c and forgets it at once; unit 1 writes what unit 0 showed just before.
        model.bias_ih_l0[[0, 1, 6, 7]] = 30.0
        model.bias_ih_l0[[2, 3]] = -30.0
        model.weight_ih_l0[4, 0] = 0.3
        model.weight_hh_l0[5, 0] = 1.0
    x = torch.randn(60, 15, 1, generator=torch.Generator().manual_seed(0))
    table = probe_units(record(model, x), {"x": x[..., 0]}, lags=(0, 1), variables=["c"], **FAST)
    rows = table.set_index(["unit", "lag"])
    assert rows.effect[0, 0] > 0.95 and rows.input_only[0, 0] > 0.99 and not rows.tracks[0, 0]
    assert rows.effect[1, 1] > 0.95 and rows.input_only[1, 1] < 0.05 and rows.tracks[1, 1]
    assert rows.effect[1, 0] < 0.05 and rows.effect[0, 1] < 0.05


def test_every_layer_direction_and_projected_output_is_probed():
    x = torch.randn(30, 8, 2, generator=torch.Generator().manual_seed(0))
    model = lstm(2, 5, num_layers=2, bidirectional=True, proj_size=3)
    lengths = torch.randint(3, 9, (30,), generator=torch.Generator().manual_seed(1))
    signals = {"sum": x[..., 0].cumsum(1), "state": (x[..., 0] > 0).long() + (x[..., 1] > 0).long()}
    table = probe_units(record(model, x, lengths=lengths), signals, **ROUGH)
    counts = table[table.signal == "sum"].groupby(["layer", "direction", "variable"]).unit.agg(["size", "max"])
    assert len(counts) == 2 * 2 * 6
    assert counts.xs("h", level="variable").values.tolist() == [[3, 2]] * 4
    assert counts.xs("c", level="variable").values.tolist() == [[5, 4]] * 4
    assert set(table.kind) == {"continuous", "categorical"}
    assert not table.drop(columns=["past_swap", "depth"]).isna().any(axis=None)


def test_padding_changes_nothing():
    x = torch.randn(40, 10, 2, generator=torch.Generator().manual_seed(0))
    lengths = torch.randint(4, 11, (40,), generator=torch.Generator().manual_seed(1))
    signal = x[..., 0].cumsum(1).numpy()
    model = lstm(2, 3)
    other_x, other_signal = x.clone(), signal.copy()
    padded = torch.arange(10) >= lengths[:, None]
    other_x[padded], other_signal[padded.numpy()] = 1e3, np.nan
    tables = [
        probe_units(record(model, a, lengths=lengths), {"s": b}, **ROUGH)
        for a, b in ((x, signal), (other_x, other_signal))
    ]
    pd.testing.assert_frame_equal(*tables)


def test_a_signal_without_variation_has_no_score_and_a_silent_unit_has_none_to_show(caplog):
    x = torch.randn(30, 6, 1, generator=torch.Generator().manual_seed(0))
    model = lstm(1, 3)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor[torch.arange(0, 12, 3)] = 0
    signals = {
        "flat": np.ones((30, 6)),
        "one class": np.zeros((30, 6), bool),
        "x": x[..., 0],
        "up": x[..., 0] > 0,
    }
    table = probe_units(record(model, x), signals, variables=["c"], **FAST)
    undefined = table[table.signal.isin(["flat", "one class"])]
    assert undefined[["score", "effect", "ci_low", "ci_high", "p_value", "p_family", "q_value"]].isna().all(axis=None)
    assert not undefined.tracks.any()
    assert "'flat'" in caplog.text and "'one class'" in caplog.text
    silent = table[(table.unit == 0) & ~table.signal.isin(["flat", "one class"])]
    assert silent.score.to_numpy() == pytest.approx([0, 0.5], abs=1e-12)
    assert silent.effect.to_numpy() == pytest.approx([0, 0], abs=1e-12)
    assert (silent.p_value == 1).all() and not silent.tracks.any()


def test_everything_wrong_is_named_at_once():
    rec = record(lstm(1, 2), torch.randn(6, 5, 1), variables=["h", "c"])
    with pytest.raises(InputError) as caught:
        probe_units(
            rec, {"s": np.zeros((6, 4))}, lags=(-1, 5), variables=["c", "f"], permutations=0, bootstrap=0,
            untrained=0, alpha=1.5, margin=-0.1, min_effect=2, folds=7,
        )  # fmt: skip
    text = "\n".join(caught.value.problems)
    for part in (
        "signals['s']: shape (6, 4)", "lags=-1", "variables=f", "permutations=0", "bootstrap=0",
        "untrained=0",
        "alpha=1.5", "margin=-0.1", "min_effect=2", "folds=7: there are only 6 sequences",
    ):  # fmt: skip
        assert part in text
    with pytest.raises(InputError, match="lags=5: sequences longer than that"):
        probe_units(rec, {"s": torch.randn(6, 5)}, lags=(5,))
    with pytest.raises(InputError, match="split: made for 4 sequences; the recording has 6"):
        probe_units(rec, {"s": torch.randn(6, 5)}, split=Split.make(4, 2))
    rec[0].c[2, 3, 1] = torch.nan
    with pytest.raises(InputError, match="layer 0 forward c: not a number at sequence 2, step 3"):
        probe_units(rec, {"s": torch.randn(6, 5)}, **FAST)


def test_too_few_permutations_are_said_to_be_too_few(caplog):
    x = torch.randn(20, 5, 1, generator=torch.Generator().manual_seed(0))
    table = probe_units(record(lstm(1, 2), x), {"x": x[..., 0]}, permutations=9, bootstrap=2, untrained=19)
    assert "permutations=9: too few" in caplog.text and not table.tracks.any() and not table.testable.any()


def test_signals_that_the_null_leaves_as_they_are_are_named(caplog):
    """Every sequence counts up, and in each a mark stands still: the shuffle moves the mark, circles the count."""
    rng = np.random.default_rng(0)
    lengths = np.repeat([9, 6], 20)
    count = np.tile(np.arange(9.0), (40, 1))
    mark = np.repeat(rng.normal(size=(40, 1)), 9, axis=1)
    rec = record(lstm(2, 3), torch.randn(40, 9, 2), lengths=torch.from_numpy(lengths))
    settings = {"permutations": 19, "bootstrap": 2, "untrained": 1, "alpha": 0.2}
    probes = probe_units(rec, {"count": count, "mark": mark}, **settings)
    assert "null=shuffle: count: alike in all sequences of a length" in caplog.text
    assert "of count" not in caplog.text
    assert (probes.p_value[probes.signal == "count"] == 1).all()
    caplog.clear()
    probes = probe_units(rec, {"count": count, "mark": mark}, null="roll", **settings)
    assert "null=roll: mark: constant in every sequence" in caplog.text
    assert (probes.p_value[probes.signal == "mark"] == 1).all()
    caplog.clear()
    step = Signal("step", torch.from_numpy(count).float(), "continuous", "nuisance", "position in the sequence")
    probe_units(rec, {"both": count + mark, "step": step}, **settings)
    assert "null=" not in caplog.text


@pytest.mark.parametrize("baseline", ["PresentInput.effects", "time_only"])
def test_a_baseline_that_does_as_well_stops_a_claim(planted, monkeypatch, baseline):
    """The planted units are claimed; each baseline alone, where it knows everything, stops all of them."""
    monkeypatch.setattr(f"lstm_probe.probing.analyses.units.{baseline}", lambda *given: np.ones(2))
    model, batch = counter_and_latch(seed=1), counting_batch(seed=2)
    table = probe_units(record(model.lstm, batch.inputs), batch.signals, seed=4, **FAST)
    assert planted.tracks.any() and not table.tracks.any()


def test_a_null_that_does_as_well_stops_a_claim(planted, monkeypatch):
    """With all else as it was."""
    monkeypatch.setattr(
        units, "study_test", lambda *given: replace(found := study_test(*given), p_family=0 * found.p_family + 0.051)
    )
    model, batch = counter_and_latch(seed=1), counting_batch(seed=2)
    table = probe_units(record(model.lstm, batch.inputs), batch.signals, seed=4, **FAST)
    assert planted.tracks.any() and not table.tracks.any()
    assert probe_units(record(model.lstm, batch.inputs), batch.signals, seed=4, alpha=0.06, **FAST).tracks.any()
