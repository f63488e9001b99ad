"""The calibration script on few datasets, with wide bounds; its known values; its figure and command line."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from lstm_probe.figures.calibration import CALIBRATION_COLUMNS, calibration

SCRIPT = Path(__file__).parents[2] / "scripts" / "calibration.py"
spec = importlib.util.spec_from_file_location("calibration_script", SCRIPT)
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)

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
    assert [text.get_text() for text in coverage.get_legend().get_texts()] == ["one", "two"]
    figure.canvas.draw()
    for axes in figure.axes:
        for text in [*axes.get_legend().get_texts(), *axes.get_yticklabels(), axes.title]:
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1


def test_the_command_line_says_what_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["calibration.py", "--datasets", "1"])
    with pytest.raises(SystemExit) as caught:
        script.main()
    assert caught.value.code == 2 and "--datasets 1: must be a whole number from 2" in capsys.readouterr().err
