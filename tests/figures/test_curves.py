"""Traces, learning curve and capacity curves show the numbers of their tables, and fit."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer

from lstm_probe.figures import capacity_curves, learning_curve, traces
from lstm_probe.figures.style import unit_colours
from lstm_probe.runs.examples import TRACE_COLUMNS
from lstm_probe.sizing.sweeps import CAPACITY_COLUMNS, CAPACITY_SEED_COLUMNS
from tests.figures.made import check_figure, check_layout, history


def trace_rows(signal, tracks, true, **other):
    about = {"kind": "continuous", "role": "target", "layer": 0, "direction": "forward", "unit": 3,
             "variable": "c", "lag": 0, "effect": 0.5, "sequence": 0, "character": ""}  # fmt: skip
    frame = pd.DataFrame({"step": range(len(true)), "true": true, "fitted": np.array(true) + 0.1})
    return frame.assign(signal=signal, tracks=tracks, **(about | other))[list(TRACE_COLUMNS)]


def test_traces_draw_signal_and_unit():
    table = pd.concat([trace_rows("count", True, [0.0, 1, 2]), trace_rows("parity", False, [0.0, 1, 0], kind="binary")])
    figure = traces(table)
    first, second = (axes for axes in figure.axes if axes.get_visible())
    assert [list(line.get_ydata()) for line in first.lines] == [[0, 1, 2], [0.1, 1.1, 2.1]]
    assert "effect 0.50" in first.get_title(loc="right")
    assert second.get_title(loc="right") == "best: unit 3, effect 0.50"
    assert figure.legends[0].get_texts()[-1].get_text().endswith("of a unit that is not said to track it")
    assert "best" not in first.get_title(loc="right")


@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_traces_fit(n):
    tables = [
        trace_rows(f"signal_number_{k}", k % 2 == 0, [0.0, 1000 * k, 0.5], role=["target", "distractor"][k % 2])
        for k in range(n)
    ]
    check_layout(traces(pd.concat(tables)))


def test_traces_show_where_a_signal_changes_and_what_was_read():
    text = "a long text in which little happens: 7 and no more of it, for a while at least"
    digit = [float(character.isdigit()) for character in text]
    rows = trace_rows("digit", True, digit, kind="binary", character=list(text))
    figure = traces(rows, style="paper", width="column")
    check_figure(figure, 3.5)
    axes = figure.axes[0]
    steps = axes.lines[0].get_xdata()
    assert text.index("7") in steps and 20 < len(steps) < len(text)
    shown = "".join(one.get_text() or " " for one in axes.texts)
    assert shown == text[int(steps[0]) : int(steps[-1]) + 1]


def test_a_fit_stays_in_its_panel_or_is_marked_where_it_leaves_it():
    fitted = np.array([0.1, 1.3, 0.2, -40, -30, 0.3, 60])
    rows = trace_rows("latch", False, [0.0, 1, 0, 0, 1, 0, 1], kind="binary").assign(fitted=fitted)
    axes = traces(rows).axes[0]
    low, high = axes.get_ylim()
    assert -1.1 <= low < 0 and 1.3 < high <= 2.1
    marks = {line.get_marker(): list(zip(line.get_xdata(), line.get_ydata())) for line in axes.lines[2:]}
    assert {marker: [step for step, _ in places] for marker, places in marks.items()} == {"v": [3], "^": [6]}
    assert low < marks["v"][0][1] < low + 0.2 and high - 0.2 < marks["^"][0][1] < high


@pytest.mark.parametrize(("style", "width"), [("paper", "column"), ("notebook", "column"), ("talk", 5.25),
                                              ("talk", "page"),
                                              ("paper", 5.25), ("notebook", "page")])  # fmt: skip
def test_traces_fit_every_width(style, width):
    text = list("def f(x): return 'WWWWmmmm' # W\n" * 3)
    names = ["count", "a_signal_with_a_name_of_many_letters_that_goes_on", "latch"]
    for characters in (text, ""):
        rows = [trace_rows(f"{name}{k}", k % 2 == 0, [float(j % 7 * 1000 - 3) for j in range(len(text))],
                           role=["latent", "target"][k % 2], character=characters)
                for k in range(9) for name in names]  # fmt: skip
        figure = traces(pd.concat(rows), style=style, width=width)
        check_figure(figure, {"column": 3.5, "page": 7.2}.get(width, width))
        assert style != "paper" or figure.get_figheight() < 9.3


def test_a_unit_has_the_colour_of_its_place():
    rows = pd.concat([trace_rows("a", True, [0.0, 1, 0]), trace_rows("b", True, [1.0, 0, 1], unit=5)])
    order = [(0, "forward", 5), (0, "forward", 3)]
    first, second = (axes.lines[1].get_color() for axes in traces(rows, order=order).axes)
    assert unit_colours(order, order) == {order[0]: second, order[1]: first} and first != second


def test_learning_curve_draws_validation_scores_and_loss():
    figure = learning_curve(history({"count": [0.1, 0.5, 0.9], "latch": [0.2, 0.9, 1.0]}), solved=0.99)
    left, right = figure.axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in left.lines}
    assert drawn["count"] == [0.1, 0.5, 0.9] and drawn["latch"] == [0.2, 0.9, 1.0]
    assert list(right.lines[0].get_ydata()) == pytest.approx([1, 1 / 2, 1 / 3])
    for axes, up in ((left, "score"), (right, "loss")):
        assert list(axes.lines[0].get_xdata()) == [100, 200, 300]
        assert axes.get_xlabel() == "step" and axes.get_ylabel().startswith(up)
    check_layout(figure)


@pytest.mark.parametrize("targets", [1, 16])
def test_learning_curve_fits(targets):
    """One step is one dot, of the loss too: a line through it would not be seen."""
    figure = learning_curve(history({f"target{k}": [0.1 * k / targets] for k in range(targets)}))
    check_layout(figure)
    assert all(line.get_marker() not in ("", "None", None) for axes in figure.axes for line in axes.lines)


def sweep(n_targets=2, sizes=(2, 4, 8), n_seeds=2, task="tracking"):
    """Tables of means and of seeds: seed k scores 0.4 + 0.1 k, and k fewer units are needed alone of half of them."""
    columns, seeds = list(CAPACITY_SEED_COLUMNS), []
    for units in sizes:
        for seed in range(n_seeds):
            own = (task, units, seed)
            seeds += [(*own, "score", f"target{k}", 0.4 + 0.1 * seed, 1.0) for k in range(n_targets)]
            seeds.append((*own, "tracked_signals", "", 3.0 + seed, 9.0))
            counts = {"needed_alone_units": units / 2 - seed / 8, "needed_together_units": units / 4,
                      "not_needed_units": 0.0, "all_units": float(units)}  # fmt: skip
            seeds += [(*own, name, "", value, float(units)) for name, value in counts.items()]
    table = pd.DataFrame(seeds, columns=columns)
    spread = 0.1 if n_seeds >= 5 else np.nan
    means = table.groupby(columns[:2] + columns[3:5], sort=False)["value"].agg(["mean", "size"]).reset_index()
    means = means.assign(ci_low=means["mean"] - spread, ci_high=means["mean"] + 2 * spread, n_seeds=means["size"])
    return means[list(CAPACITY_COLUMNS)], table


def dots_and_lines(axes):
    """What a panel draws: the heights of the dots, and of the lines through their means, each from left to right."""
    filled = [line for line in axes.lines if len(line.get_xdata()) and line.get_marker() != "_"]  # the bars' own
    dots = [list(line.get_ydata()) for line in filled if line.get_linestyle() == "None"]
    return dots, [list(line.get_ydata()) for line in filled if line.get_linestyle() != "None"]


def note(figure):
    (text,) = figure.texts
    return text.get_text().replace("\n", " ")


def test_capacity_curves_draw_one_dot_for_each_seed_and_a_line_through_their_means():
    figure = capacity_curves(*sweep())
    scores, signals, units = figure.axes
    assert dots_and_lines(scores) == ([pytest.approx([0.4, 0.5] * 3)] * 2, [pytest.approx([0.45] * 3)] * 2)
    assert dots_and_lines(signals) == ([[3, 4] * 3], [[3.5] * 3])
    dots, lines = dots_and_lines(units)
    assert dots[0] == pytest.approx([0.5, 0.4375, 0.5, 0.46875, 0.5, 0.484375]) and dots[1:] == [[0.25] * 6, [0] * 6]
    assert lines[0] == pytest.approx([0.46875, 0.484375, 0.4921875]) and lines[1:] == [[0.25] * 3, [0] * 3]
    first, last = ([text.get_text() for text in legend.get_texts()] for legend in figure.legends)
    assert first == ["target0", "target1"] and last == ["alone", "together", "not needed"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["units"] * 3
    assert [tick.get_text() for tick in scores.get_xticklabels()] == ["2", "4", "8"]
    assert "no intervals: 2 seeds at most are too few" in note(figure)


@pytest.mark.parametrize("n_seeds", [1, 2, 4, 5, 7])
def test_intervals_are_drawn_from_five_seeds_on(n_seeds):
    figure = capacity_curves(*sweep(n_seeds=n_seeds))
    for axes in figure.axes:
        dots, _ = dots_and_lines(axes)
        assert {len(own) for own in dots} == {3 * n_seeds}
        assert bool([c for c in axes.containers if isinstance(c, ErrorbarContainer)]) == (n_seeds >= 5)
    if n_seeds >= 5:
        (segment, *_) = figure.axes[0].containers[0].lines[2][0].get_segments()
        middle = 0.4 + 0.1 * (n_seeds - 1) / 2
        assert sorted(segment[:, 1]) == pytest.approx([middle - 0.1, middle + 0.2])
    assert ("bars: 95 % intervals of the mean" in note(figure)) == (n_seeds >= 5)
    assert ("one seed of each size" in note(figure)) == (n_seeds == 1)


def test_sizes_with_too_few_seeds_have_no_bar_beside_those_that_have():
    (means, seeds), (more, other) = sweep(n_targets=1, sizes=(2,)), sweep(n_targets=1, sizes=(8,), n_seeds=6)
    figure = capacity_curves(pd.concat([means, more]), pd.concat([seeds, other]))
    (bars,) = figure.axes[0].containers
    assert len(bars.lines[2][0].get_segments()) == 1
    assert note(figure).endswith("bars: 95 % intervals of the mean, where there are 6 seeds or more")


def test_dots_stay_with_their_size_and_apart():
    """Of 16 targets and 6 seeds at neighbouring sizes no dot is nearer to another size, and no two are at one place."""
    axes = capacity_curves(*sweep(16, (7, 8, 30), 6)).axes[0]
    drawn = [line for line in axes.lines if line.get_linestyle() == "None" and line.get_marker() != "_"]
    x = np.log2(np.concatenate([line.get_xdata() for line in drawn]).astype(float))
    own = np.log2(np.repeat([7, 8, 30], 6).tolist() * 16)
    for other in np.log2([7, 8, 30]):
        assert (np.abs(x - own) <= np.abs(x - other) + 1e-9).all()
    assert len(np.unique(x.round(9))) == 16 * 6 * 3
    low, high = axes.get_xlim()
    assert np.log2(low) < x.min() and x.max() < np.log2(high)


def test_a_score_far_below_chance_stands_on_the_edge():
    means, seeds = sweep(n_targets=1, n_seeds=1)
    means, seeds = (
        table.assign(**{column: table[column].mask(table["quantity"] == "score", -7.0)})
        for table, column in ((means, "mean"), (seeds, "value"))
    )
    axes = capacity_curves(means, seeds).axes[0]
    dots, _ = dots_and_lines(axes)
    assert dots == [[axes.get_ylim()[0]] * 3] and axes.get_ylim()[0] == pytest.approx(-0.54)


def test_where_nothing_is_known_of_need_the_panel_says_so():
    tables = [table[~table["quantity"].str.contains("needed")] for table in sweep()]
    figure = capacity_curves(*tables)
    assert [text.get_text() for text in figure.axes[2].texts] == ["not measured"] and not figure.axes[2].lines
    check_layout(figure)
    only_scores = [table[table["quantity"] == "score"] for table in tables]
    figure = capacity_curves(*only_scores)
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes] == [
        [],
        ["not measured"],
        ["not measured"],
    ]
    check_layout(figure)


@pytest.mark.parametrize(
    "sweeps",
    [
        [sweep()],
        [sweep(1, (16,), 1)],
        [sweep(16, tuple(range(1, 40)), 1)],
        [sweep(task="tracking, layers=2"), sweep(task="dyck1", n_seeds=5)],
    ],
)
def test_capacity_curves_fit(sweeps):
    means, seeds = zip(*sweeps)
    check_layout(capacity_curves(pd.concat(means), pd.concat(seeds)))


@pytest.mark.parametrize("losses", [(0.5, 0.04), (0.98, 0.2), (2.0, 0.9), (0.7, 0.003)])
def test_an_axis_of_losses_has_two_numbers_at_least(losses):
    table = history({"count": [0.1, 0.9]})
    table.loc[table["metric"] == "loss", "value"] = losses
    figure = learning_curve(table)
    figure.canvas.draw()
    axis = figure.axes[1].yaxis
    low, high = axis.get_view_interval()
    shown = [tick for tick, label in zip(axis.get_majorticklocs(), axis.get_ticklabels())
             if low <= tick <= high and label.get_text()]  # fmt: skip
    assert len(shown) >= 2
