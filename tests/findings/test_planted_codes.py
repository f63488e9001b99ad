"""Planted codes, measured and put into words: what a unit holds from earlier or along a curve is said everywhere."""

import numpy as np
import pytest
import torch

import lstm_probe as lp
from lstm_probe.findings.facts import find
from lstm_probe.findings.need_words import need_words
from lstm_probe.findings.words import signal_words
from lstm_probe.probing.analyses.curved import curved_units
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording
from lstm_probe.runs.findings import make_cards
from tests.figures.made import ablation_row, ablations

N, T = 160, 30
INFO = {"scores": {}, "learned": {}, "solved": False, "not_scored": "there is no target"}


@pytest.fixture(scope="module", params=[(1, 0), (2, 1), (5, 2)], ids="lag {0[0]}, seed {0[1]}".format)
def told(request):
    """Units: x of some steps ago; what a square and a threshold are of; a copy; noise."""
    lag, seed = request.param
    rng = np.random.default_rng(seed)
    x, square, two, walk = (rng.normal(size=(N, T)) for _ in range(4))
    walk = np.cumsum(walk, 1) * 0.3
    late = np.pad(x, ((0, 0), (lag, 0)))[:, :T]
    noisy = walk + 0.6 * rng.normal(size=(N, T)) * walk.std()
    signals = {"x": x, "square": square**2, "within": (np.abs(two) < 0.6).astype(int), "walk": walk, "noisy": noisy}
    noise = np.cumsum(rng.normal(size=(N, T, 2)), 1) * 0.2
    c = np.stack([late, square, two, walk, walk, *np.moveaxis(noise, -1, 0)], -1)
    c = torch.tensor(c + 0.02 * rng.normal(size=c.shape)).float()
    inputs = torch.tensor(rng.normal(size=(N, T, 1))).float()
    parts = {(0, "forward"): LayerRecording(0, "forward", inputs, c=c)}
    rec = Recording(parts, torch.full((N,), T), LSTMConfig(1, c.shape[-1]))
    quick = {"permutations": 199, "untrained": 19, "init": "torch"}
    probes = curved_units(rec, signals, probes=lp.probe_units(rec, signals, bootstrap=50, **quick), **quick)
    tables = {
        "probes": probes, "memory": lp.memory_curves(rec, signals, **quick),
        "confounds": lp.partial_effects(rec, signals, bootstrap=50),
        "ablations": ablations(*(ablation_row(unit, "x", 0.004, needed="not measured")
                                  for unit in range(c.shape[-1]))),
    }  # fmt: skip
    populations = lp.probe_populations(rec, signals, bootstrap=20)
    further = {"memory": tables["memory"], "confounds": tables["confounds"]}
    found = find(INFO, probes, populations, tables["ablations"], **further)
    cards = make_cards(found, tables, {"probe": {"window": 3}, "ablate": {}})
    return lag, found, {int(card.label): card for card in cards}


def test_an_earlier_value_is_in_status_title_and_sentence(told):
    lag, found, cards = told
    ago = f"x of {lag} step{'' if lag == 1 else 's'} ago"
    assert cards[0].title == f"Unit 0, c: {ago}" and cards[0].status == "tracks, no cost alone"
    assert cards[0].sentences[0] == f"It holds {ago}: effect 1.00 (R²)."
    assert signal_words(found.signals[0]).endswith(f"but unit 0 holds {ago} (effect 1.00).")


@pytest.mark.parametrize(("unit", "signal"), [(1, "square"), (2, "within")])
def test_a_curve_is_in_status_title_and_sentence(told, unit, signal):
    _, found, cards = told
    card = cards[unit]
    assert card.title == f"Unit {unit}, c: {signal} along a curve" and card.status == "tracks, no cost alone"
    assert card.sentences[0].startswith(f"It tracks {signal} along a curve: effect ")
    assert not [sentence for sentence in card.sentences if "adds" in sentence or "partial" in sentence]
    fact = next(fact for fact in found.signals if fact.signal == signal)
    assert f"unit {unit} holds {signal} along a curve" in signal_words(fact)


def test_a_noisy_version_goes_with_what_copies_hold_and_none_is_unused(told):
    """Two units are copies of one signal; of another, which is that with noise, they tell nothing more."""
    _, found, cards = told
    for unit in (3, 4):
        assert cards[unit].title == f"Unit {unit}, c: walk"
        assert any(
            s.startswith("It goes with noisy (effect ") and ", as walk does:" in s for s in cards[unit].sentences
        )
        assert cards[unit].sentences[-1] == (
            "Clamped alone, it was not found to cost anything that counts (x: 0.004 at most); others may do "
            "the same as it."
        )
    noisy = next(fact for fact in found.signals if fact.signal == "noisy")
    assert noisy.tracked_by == () and "which holds walk, goes with it" in signal_words(noisy)
    words = " ".join([*need_words(found), *(s for card in cards.values() for s in (card.title, *card.sentences))])
    assert not [word for word in ("idle", "unused", "not needed", "needs no") if word in words]


def test_nothing_is_found_in_noise(told):
    _, _, cards = told
    for unit in (5, 6):
        assert cards[unit].title.endswith("nothing found") and cards[unit].status == "nothing found, no cost alone"
