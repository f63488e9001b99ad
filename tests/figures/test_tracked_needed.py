"""Tracked against needed: dots are the table's, quarters are named, and nothing is cut or hidden."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from lstm_probe.causal.against import rank_correlations, tracked_against_needed
from lstm_probe.figures.tracked_needed import tracked_needed
from lstm_probe.findings.pictures import overall_words
from lstm_probe.report.drawing import figures_of
from lstm_probe.report.pictures import against_of
from tests.figures.made import ablation_row, ablations, check_layout, drawn_texts, made_run, probe_row, probes

QUARTERS = ["costs only", "tells and costs", "neither", "tells only"]


def tables(units, targets, layers=1, seed=0):
    """Dead units, units that track one target, and drops that are 0, small or large; the second is a class."""
    rng = np.random.default_rng(seed)
    names = ["count", "flip", "a_very_long_target_name", *(f"target{k}" for k in range(targets))][:targets]
    probed, clamped = [], []
    for unit in range(units):
        layer, favourite, dead = int(rng.integers(layers)), rng.integers(targets), rng.random() < 0.3
        for k, name in enumerate(names):
            effect = 0.0 if dead else float(rng.uniform(0.2, 1) if k == favourite else rng.beta(1, 8))
            kind = {"kind": "binary", "metric": "auroc"} if name == "flip" else {}
            probed.append(probe_row(unit, name, effect, effect > 0.5, layer=layer, **kind))
            drop = 0.0 if dead else float(rng.choice([rng.beta(0.4, 1), 0.003 * rng.standard_normal()]))
            needed = "alone" if drop > 0.01 else str(rng.choice(["no", "together", "not measured"]))
            clamped.append(ablation_row(unit, name, drop, needed=needed, layer=layer))
    return tracked_against_needed(probes(*probed), ablations(*clamped))


def drawn(units, targets, **other):
    table = tables(units, targets, **other)
    return table, tracked_needed(table, rank_correlations(table))


def dots(axes):
    """Places of all dots, and of those that are filled."""
    every, full = [], []
    for found in axes.collections:
        if isinstance(found, PathCollection) and len(found.get_offsets()):
            places = [tuple(map(float, dot)) for dot in found.get_offsets()]
            every += places
            full += places if (found.get_facecolor()[0, :3] != 1).any() else []
    return sorted(every), sorted(full)


def words(figure):
    return [text.get_text() for text in drawn_texts(figure)]


def test_dots_are_the_table():
    table, figure = drawn(20, 2)
    assert len(figure.axes) == 3
    for axes, name, column, bar in zip(
        figure.axes, ("all", "count", "flip"), ("strength", "effect", "effect"), (0.25, 0.25, 0.46)
    ):
        own = table[table["target"] == name]
        every, full = dots(axes)
        assert every == sorted(zip(own[column], own["refit_drop"].clip(lower=0)))
        assert len(full) == own["tracks"].sum() > 0
        assert [line.get_xdata()[0] for line in axes.lines] == [bar, 0]
        assert axes.lines[1].get_ydata()[0] == 0.01
        assert [text.get_text() for text in axes.texts][:4] == QUARTERS
    told = words(figure)
    assert {"any signal, any target", "count", "flip", "needed alone", "not needed"} <= set(told)
    correlations = rank_correlations(table).set_index("target")["rho"]
    for rho in correlations:
        assert any(text.startswith(f"rank correlation over 20 units {rho:.2f}".replace("-", "−")) for text in told)


def test_the_dots_that_stand_out_have_their_numbers():
    rows = [(0, 0.9, 0.8, "alone"), (1, 0.1, 0.5, "alone"), (2, 0.8, 0.0, "no"), (3, 0.0, 0.0, "no")]
    table = tracked_against_needed(
        probes(*(probe_row(unit, "count", effect, effect > 0.5) for unit, effect, _, _ in rows)),
        ablations(*(ablation_row(unit, "count", drop, needed=needed) for unit, _, drop, needed in rows)),
    )
    figure = tracked_needed(table, rank_correlations(table), min_effect=0.3, min_drop=0.02)
    for axes in figure.axes:
        numbers = {text.get_text(): text for text in axes.texts[4:]}
        assert set(numbers) == {"0", "1", "2"}  # 3 is in the quarter of neither
        assert axes.lines[0].get_xdata()[0] == 0.3 and axes.lines[1].get_ydata()[0] == 0.02
    assert "rank correlation: too few units" in words(figure)


@pytest.mark.parametrize(
    ("units", "targets", "layers"), [(2, 1, 1), (4, 1, 1), (8, 3, 1), (32, 6, 2), (128, 1, 1), (128, 11, 1)]
)
def test_nothing_is_cut_and_no_label_hides_a_dot(units, targets, layers):
    _, figure = drawn(units, targets, layers=layers)
    check_layout(figure)
    assert len(figure.axes) == 1 + min(targets, 8)
    assert ("not shown: 3 more targets" in " ".join(words(figure))) == (targets == 11)
    for axes in figure.axes:
        for text in axes.texts:
            box = text.get_window_extent()
            for x, y in axes.transData.transform(dots(axes)[0]):
                assert not (box.x0 < x < box.x1 and box.y0 < y < box.y1), text


def test_a_run_has_the_figure_where_drops_are_known(tmp_path):
    run = made_run(tmp_path, units=8)
    assert "tracked" in figures_of(run) and len(against_of(run)["unit"].unique()) == 8
    check_layout(figures_of(run)["tracked"]())
    assert overall_words(against_of(run)).startswith("Over all signals and targets: rank correlation over 8 units ")
    full = run.ablations
    for old in (full.drop(columns=["refit_drop", "needed"]), full.assign(refit_drop=np.nan), full[full["unit"] == 0]):
        run.__dict__["ablations"] = old
        assert "tracked" not in figures_of(run) and against_of(run) is None
