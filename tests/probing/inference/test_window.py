"""The window of inputs against a loop, and signals whose place in the past is known."""

import numpy as np
import pytest
import torch
from torch import nn

from lstm_probe.core.errors import InputError
from lstm_probe.probing import Split
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.view import View
from lstm_probe.probing.fits.ridge import ridge_predictions
from lstm_probe.probing.inference.evaluate import evaluate_predictions
from lstm_probe.probing.inference.scores import effects
from lstm_probe.probing.inference.window import input_window, windowed
from lstm_probe.recorder import record


@pytest.mark.parametrize(("k", "time"), [(0, 5), (2, 6), (9, 4)])
def test_a_window_equals_a_loop_over_sequences_and_steps(k, time, rng):
    inputs = torch.randn(5, time, 3, generator=rng)
    lengths = torch.tensor([time, 1, time - 1, 2, time])
    for n, length in enumerate(lengths):
        inputs[n, length:] = float("nan")
    got = windowed(inputs, lengths, k)
    assert got.shape == (5, time, 3 * (k + 1))
    for n in range(5):
        for t in range(time):
            for back in range(k + 1):
                inside = t < lengths[n] and t >= back
                expected = inputs[n, t - back] if inside else torch.zeros(3)
                assert torch.equal(got[n, t, 3 * back : 3 * back + 3], expected)


def view_of(rec, signals, lag=0):
    checked = check_signals(signals, rec.mask.numpy())
    return View.make(checked, rec.lengths.numpy(), Split.make(len(rec), 4), lag)


def test_a_signal_is_known_once_the_window_reaches_it(rng):
    x = torch.randn(60, 15, 2, generator=rng)
    lengths = torch.randint(8, 16, (60,), generator=rng)
    torch.manual_seed(0)
    rec = record(nn.LSTM(2, 3, batch_first=True), x, lengths=lengths)
    before = torch.zeros(60, 15)
    before[:, 3:] = x[:, :-3, 1]
    view = view_of(rec, {"before": before, "positive": before > 0, "other": torch.randn(60, 15, generator=rng)})
    enough, too_short = input_window(rec, view, 3), input_window(rec, view, 2)
    assert enough[0] > 0.9999 and enough[1] > 0.9 and enough[2] < 0.02
    assert (too_short < 0.1).all()
    assert input_window(rec, view, 5)[0] > 0.9999
    # Two steps later the same value lies five steps back.
    later = view_of(rec, {"before": before}, lag=2)
    assert input_window(rec, later, 5)[0] > 0.9999 and input_window(rec, later, 4)[0] < 0.1


def test_the_shortest_window_is_the_current_input(rng):
    x = torch.randn(30, 8, 2, generator=rng)
    torch.manual_seed(0)
    rec = record(nn.LSTM(2, 3, batch_first=True), x)
    view = view_of(rec, {"sum": x[..., 0].cumsum(1), "bit": x[..., 1] > 0.3})
    alone = evaluate_predictions(ridge_predictions(view.features(rec.inputs), view.columns, view), view)
    assert input_window(rec, view, 0) == pytest.approx(effects(alone.score, view)[0], abs=1e-12)


@pytest.mark.parametrize("k", [-1, True])
def test_a_bad_window_is_named(k):
    with pytest.raises(InputError, match=f"^k={k}: must be a whole number from 0$"):
        windowed(torch.zeros(2, 3, 1), torch.tensor([3, 3]), k)


def test_a_window_as_long_as_the_sequence_is_no_trouble():
    assert np.array_equal(windowed(torch.ones(1, 2, 1), torch.tensor([2]), 3)[0].numpy(), [[1, 0, 0, 0], [1, 1, 0, 0]])
