"""Traces: the fit is NumPy's, on other sequences than the one that is shown; padded steps are left out."""

import numpy as np
import pytest
import torch

from lstm_probe.runs.examples import trace_table
from tests.figures.made import probe_row, probes


@pytest.fixture
def examples():
    rng = torch.Generator().manual_seed(3)
    signal = torch.randn(4, 9, generator=rng).cumsum(1)
    lengths = torch.tensor([9, 9, 6, 9])
    memory = 0.2 * signal.unsqueeze(-1) + 0.1 * torch.randn(4, 9, 2, generator=rng) - 1
    for values in (signal, memory):
        values[2, 6:] = 1e6  # steps beyond the end mean nothing
    return {
        "inputs": torch.zeros(4, 9, 1), "lengths": lengths, "signal.count": signal,
        "layer0.forward.c": memory,
    }  # fmt: skip


def test_the_best_unit_is_fitted_on_the_other_sequences(examples):
    table = trace_table(examples, probes(probe_row(0, "count", 0.5), probe_row(1, "count", 0.9, True)))
    first = table.iloc[0]
    assert first["unit"] == 1 and first["effect"] == 0.9 and first["tracks"]
    y, x = examples["signal.count"].numpy(), examples["layer0.forward.c"][..., 1].numpy()
    shown = next(k for k in range(4) if np.allclose(table["true"], y[k, : examples["lengths"][k]]))
    rest = [(k, t) for k in range(4) for t in range(examples["lengths"][k]) if k != shown]
    slope, intercept = np.polyfit([x[k, t] for k, t in rest], [y[k, t] for k, t in rest], 1)
    assert np.allclose(table["fitted"], slope * x[shown, : len(table)] + intercept, atol=1e-4)


def test_a_unit_that_tracks_goes_before_one_that_does_not(examples):
    table = trace_table(examples, probes(probe_row(0, "count", 0.9), probe_row(1, "count", 0.5, True)))
    assert set(table["unit"]) == {1}


def test_a_lagged_signal_is_the_one_of_some_steps_before(examples):
    table = trace_table(examples, probes(probe_row(0, "count", 0.9, True, lag=2)))
    assert table["step"].iloc[0] == 2
    y = examples["signal.count"].double().numpy()
    assert any(np.allclose(table["true"], y[k, : len(table)]) for k in range(4))


def test_signals_that_never_change_are_left_out(examples):
    examples["signal.flat"] = torch.zeros(4, 9)
    table = trace_table(examples, probes(probe_row(0, "count", 0.9), probe_row(0, "flat", float("nan"))))
    assert set(table["signal"]) == {"count"}
    assert trace_table(examples, probes(probe_row(0, "flat", float("nan")))).empty


def test_an_angle_is_shown_as_the_cosine_from_where_the_unit_is_highest(examples):
    """A unit that is highest at 0.9 of the circle; angles go all round."""
    angle = torch.rand(4, 9, generator=torch.Generator().manual_seed(1)).double() * 2 * np.pi - np.pi
    examples["signal.angle"] = angle
    examples["layer0.forward.c"] = torch.stack([torch.zeros_like(angle), 0.3 * torch.cos(angle - 0.9)], -1)
    table = trace_table(examples, probes(probe_row(1, "angle", 0.5, True, kind="circular")))
    place = table["signal"].unique()
    assert len(place) == 1 and place[0].startswith("cos(angle − ")
    assert float(place[0].split()[2].rstrip(")")) == pytest.approx(0.9, abs=0.4)
    assert table["true"].abs().max() <= 1 and np.corrcoef(table["true"], table["fitted"])[0, 1] > 0.9


@pytest.mark.parametrize("noise", [0.01, 0.5])
def test_a_rare_signal_is_shown_where_it_changes_by_its_means_elsewhere(examples, noise):
    """It is on for two steps each of two sequences; the unit is 0.5 then, -1 else. Most change in sequence 2."""
    others = [torch.zeros(4, 9), torch.zeros(4, 9)]
    for one in others:
        one[2, 3:6] = 1
    examples |= {"signal.a": others[0], "signal.b": others[1]}
    for first, second in ((0, 1), (0, 3), (1, 3)):
        rare = torch.zeros(4, 9)
        rare[first, 4:6] = rare[second, 6:8] = 1
        c = 1.5 * rare - 1 + noise * torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
        examples["signal.rare"] = rare
        examples["layer0.forward.c"] = torch.stack([c, examples["signal.count"]], -1)
        rows = [probe_row(1, name, 0.9, True) for name in ("count", "a", "b")]
        both = probes(*rows, probe_row(0, "rare", 0.9, True, kind="binary"))
        texts = ["abcdefghi", "ABCDEFGHI", "jklmno", "JKLMNOPQR"]
        table = trace_table(examples, both, texts=texts)
        shown = dict(list(table.groupby("signal")))["rare"]
        sequence = int(shown["sequence"].iloc[0])
        assert set(table.loc[table["signal"] == "count", "sequence"]) == {2}
        assert sequence in (first, second) and "".join(shown["character"]) == texts[sequence]
        assert list(shown["true"]) == rare[sequence].tolist()
        rest = [k for k in range(4) if k != sequence]
        values = [(float(c[k, t]), bool(rare[k, t])) for k in rest for t in range(examples["lengths"][k])]
        off, on = (np.mean([value for value, one in values if one == which]) for which in (False, True))
        assert np.allclose(shown["fitted"], (c[sequence].numpy() - off) / (on - off), atol=1e-5)


def test_a_signal_that_changes_in_one_sequence_alone_is_fitted_there(examples):
    examples["signal.once"] = torch.zeros(4, 9)
    examples["signal.once"][1, 3:] = 1
    examples["layer0.forward.c"][..., 1] = 4 - examples["signal.once"]
    table = trace_table(examples, probes(probe_row(1, "once", 0.9, True, kind="binary")))
    assert list(table["true"]) == [0] * 3 + [1] * 6 and np.allclose(table["fitted"], table["true"])


def test_signals_that_change_nowhere_in_the_examples_are_left_out(examples):
    examples["signal.flat"] = torch.zeros(4, 9)
    assert trace_table(examples, probes(probe_row(0, "flat", 0.9, True, kind="binary"))).empty


def test_a_unit_that_does_not_tell_a_binary_signal_has_the_line_that_predicts_it(examples):
    """Its scatter would else be blown up until the means are 0 and 1."""
    examples["signal.coin"] = (torch.rand(4, 9, generator=torch.Generator().manual_seed(5)) < 0.5).float()
    table = trace_table(examples, probes(probe_row(1, "coin", 0.1, kind="binary")))
    assert table["fitted"].between(-0.2, 1.2).all() and table["fitted"].std() < 0.3
