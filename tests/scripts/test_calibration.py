"""The calibration script on few datasets, with wide bounds; its known values; its figure and command line."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from lstm_probe.figures.calibration import CALIBRATION_COLUMNS, calibration

SCRIPT = Path(__file__).parents[2] / "scripts" / "calibration.py"
sys.path.insert(0, str(SCRIPT.parent))
spec = importlib.util.spec_from_file_location("calibration_script", SCRIPT)
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
sys.path.remove(str(SCRIPT.parent))
rates, settings = (sys.modules[f"calibrating.{name}"] for name in ("rates", "settings"))

DATASETS = 25


@pytest.mark.parametrize("kind", ["autocorrelated", "shared trend"])
def test_false_alarms_are_rare_by_the_shuffle(kind):
    found = pd.DataFrame([script.unrelated(kind, "shuffle", 120, 10, 0, seed) for seed in range(DATASETS)])
    most = stats.binom.ppf(0.999, DATASETS, 0.05)
    assert found["any p_family"].sum() <= most and found["any tracks, no thresholds"].sum() <= most
    assert found["any tracks"].sum() <= 1


def test_false_alarms_are_rare_by_rolling_long_sequences():
    found = [script.unrelated("autocorrelated", "roll", 120, 100, 0, seed)["any p_family"] for seed in range(10)]
    assert sum(found) <= stats.binom.ppf(0.999, 10, 0.05)


def test_false_discoveries_beside_true_ones_are_few():
    share = [script.unrelated("white", "shuffle", 120, 10, 4, s)["false discovery share"] for s in range(DATASETS)]
    # Not because nothing is found: with four true ones of 32 and a few false, the share is seldom exactly 0.
    assert 0 < np.mean(share) <= 0.05 + 3 * np.std(share) / np.sqrt(DATASETS)


def test_intervals_cover_what_was_planted():
    """Where it is hardest: few sequences whose steps hang together. Percentiles of a held-out R² covered 72 to 91 %."""
    count = 60
    held = pd.DataFrame([script.covered("autocorrelated", 40, seed) for seed in range(count)]).sum()
    low, high = stats.binom.ppf([0.0005, 0.9995], count, 0.95)
    assert list(held.index) == ["R² 0.1", "R² 0.3", "R² 0.5", "AUROC 0.75"]
    assert held.between(low, high).all()


def test_the_planted_auroc_is_what_simulation_says():
    rng = np.random.default_rng(0)
    y, noise = rng.normal(size=(2, 400_000))
    for rho in (0.2, 0.6):
        x = rho * y + np.sqrt(1 - rho**2) * noise
        assert script.area(rho) == pytest.approx(roc_auc_score(y > 0, x), abs=3e-3)


def test_series_are_what_they_are_called():
    rng = np.random.default_rng(0)
    white, slow = (script.series(rng, kind, 400, 30, 1)[..., 0] for kind in ("white", "autocorrelated"))
    assert white.var() == pytest.approx(1, abs=0.03) and slow.var() == pytest.approx(1, abs=0.1)
    neighbours = [np.corrcoef(s[:, 1:].ravel(), s[:, :-1].ravel())[0, 1] for s in (white, slow)]
    assert neighbours == pytest.approx([0, 0.9], abs=0.03)
    assert script.series(rng, "shared trend", 400, 30, 1).mean((0, 2)) == pytest.approx(np.linspace(-2, 2, 30), abs=0.2)


def test_the_summary_is_a_share_with_its_interval():
    got = script.summary(np.array([0.0, 1.0, 0.0, 0.0]), {"measure": "m"})
    exact = stats.binomtest(1, 4).proportion_ci(0.95)
    assert (got["share"], got["low"], got["high"], got["datasets"]) == (0.25, exact.low, exact.high, 4)
    shares = np.array([0.1, 0.3, 0.2])
    low, high = stats.t.interval(0.95, 2, 0.2, stats.sem(shares))
    got = script.summary(shares, {})
    assert [got["low"], got["high"]] == pytest.approx([max(0, low), high])


def test_the_figure_shows_every_share_where_it_is():
    rows = [
        (about, series, null, 40, 20, measure, nominal, 9, share, share - 0.01, 0.97)
        for about, nominal, base in (("errors", 0.05, 0.02), ("coverage", 0.95, 0.94))
        for k, (series, null) in enumerate((("a", "shuffle"), ("b", "roll")))
        for share, measure in ((base + 0.001 * k, "one"), (base + 0.005, "two"))
    ]
    figure = calibration(pd.DataFrame(rows, columns=list(CALIBRATION_COLUMNS)))
    errors, coverage = figure.axes
    assert [label.get_text() for label in errors.get_yticklabels()] == ["a, 40 × 20", "b, roll, 40 × 20"]
    dots = {tuple(line.get_xdata()) for line in coverage.lines if line.get_linestyle() == "None"}
    assert dots == {(0.94, 0.941), (0.945, 0.945)}
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["one", "two"]
    figure.canvas.draw()
    for axes in figure.axes:
        for text in [*legend.get_texts(), *axes.get_yticklabels(), axes.title]:
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1


@pytest.mark.parametrize("name", list(settings.SETTINGS))
def test_every_setting_is_what_it_says_and_follows_from_its_seed(name):
    first, second, other = (settings.SETTINGS[name](np.random.default_rng(seed)) for seed in (3, 3, 4))
    shape = first.rec.mask.shape
    for data in (first, other):
        assert all(np.shape(getattr(y, "values", y)) == shape for y in data.signals.values())
    given, same, another = (np.asarray(next(iter(d.rec)).c) for d in (first, second, other))
    assert np.array_equal(given, same) and not np.array_equal(given, another)
    assert rates.supported(dict(first.options)) and not (first.truth and first.remedy)
    if first.truth:
        signal, unit = first.truth
        own = np.asarray(first.signals[signal].values)
        assert own.std() > 0 and abs(np.corrcoef(own.ravel(), given[..., unit].ravel())[0, 1]) > 0.999


def test_slow_series_remember_for_as_long_as_they_say():
    values = settings.slow(np.random.default_rng(0), 200_000, 1, 20.0)[:, 0]
    assert values.std() == pytest.approx(1, abs=0.05)
    assert np.corrcoef(values[20:], values[:-20])[0, 1] == pytest.approx(np.exp(-1), abs=0.03)
    mean = settings.mean_of_last(np.arange(6.0)[None], 3)[0]
    assert mean == pytest.approx([0, 1 / 3, 1, 2, 3, 4])


def test_windows_are_cut_from_one_series():
    data = settings.SETTINGS["windows, stride 5, tau 100"](np.random.default_rng(0))
    inputs = next(iter(data.rec)).inputs.numpy()
    assert np.array_equal(inputs[1:, :25], inputs[:-1, 5:]) and not np.array_equal(inputs[1], inputs[0])
    assert np.array_equal(data.signals["y"][1:, :25], data.signals["y"][:-1, 5:])


def test_each_setting_has_its_rates_of_before():
    before = pd.read_csv(rates.BEFORE)
    assert list(before.setting) == list(settings.SETTINGS)
    assert (before.datasets == 40).all() and before[["tracks", "p_family", "in_c"]].stack().between(0, 1).all()
    assert (before.in_c <= before.tracks).all()


def test_few_datasets_of_three_settings():
    names = ["independent", "present inputs", "planted latch, rate 0.1"]
    assert rates.chosen(["independent", "present", "latch, rate 0.1"]) == names
    table = script.rates(names, 6).set_index(["series", "measure"])
    assert table.share["independent", "tracks"] <= 1 / 6 and table.share["present inputs", "tracks"] <= 1 / 6
    assert table.share["independent", "p_family"] <= 3 / 6
    assert (
        table.share["planted latch, rate 0.1", "tracks"] == 1
        and table.nominal["planted latch, rate 0.1", "tracks"] == 1
    )
    assert table.datasets["independent", "tracks, before"] == 40
    # What follows from the input is told apart from chance, rightly.
    assert ("present inputs", "p_family") not in table.index


def test_a_remedy_is_tried_where_there_is_one(monkeypatch):
    monkeypatch.setattr(rates, "found", lambda data, options: dict.fromkeys(rates.MEASURES, float("null" in options)))
    monkeypatch.setattr(rates, "supported", lambda options: True)
    made = list(rates.setting_rates("drift over sequences", 3, 0))
    assert [about["null"] for about, _ in made] == ["shuffle", "shuffle", "shift"]
    assert [values["tracks"].mean() for _, values in made[1:]] == [0, 1]
    monkeypatch.setattr(rates, "supported", lambda options: False)
    assert len(list(rates.setting_rates("drift over sequences", 3, 0))) == 2


def test_the_command_line_says_what_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["calibration.py", "--datasets", "1"])
    with pytest.raises(SystemExit) as caught:
        script.main()
    assert caught.value.code == 2 and "--datasets 1: must be a whole number from 2" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["calibration.py", "--settings", "nothing-like-it"])
    with pytest.raises(SystemExit) as caught:
        script.main()
    assert (
        caught.value.code == 2 and "--settings nothing-like-it: no setting has such a name" in capsys.readouterr().err
    )
