"""What stands beside what at a lag, by a loop over sequences and steps."""

import numpy as np
import pytest
import torch

from lstm_probe.probing import Split
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.data.view import View


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_a_unit_stands_beside_the_signal_of_some_steps_before(lag):
    rng = np.random.default_rng(lag)
    lengths = np.array([9, 4, 3, 1, 7, 9])
    x, value = rng.normal(size=(2, 6, 9))
    bit = rng.integers(0, 2, size=(6, 9))
    mask = np.arange(9) < lengths[:, None]
    view = View.make(check_signals({"value": value, "bit": bit}, mask), lengths, Split.make(6, 2), lag)
    features = view.features(torch.from_numpy(x[..., None]))[..., 0]
    pairs = [(s, t) for s in range(6) for t in range(lag, lengths[s])]
    units = np.array([x[s, t] for s, t in pairs])
    signals = np.array([value[s, t - lag] for s, t in pairs])
    assert view.mask.sum() == len(pairs) and features.shape == (6, 9 - lag)
    for s in range(6):
        for t in range(lag, 9):
            real = (s, t) in pairs
            assert view.mask[s, t - lag] == real
            expected = (
                (x[s, t] - units.mean()) / units.std(),
                (value[s, t - lag] - signals.mean()) / signals.std(),
                bit[s, t - lag],
            )
            got = features[s, t - lag], *view.columns[s, t - lag]
            assert got == pytest.approx(expected if real else (0, 0, 0))
