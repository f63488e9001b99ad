"""The lines over levels of hardness are the numbers of their table, ours told from others, and said in words."""

import numpy as np
import pandas as pd
import pytest

from lstm_probe.figures import hardness
from lstm_probe.figures.hardness import HARDNESS_COLUMNS
from lstm_probe.findings.pictures import hardness_shown
from tests.figures.made import check_layout, drawn_texts

ASKED = ("Which unit holds which signal", "Which target needs which unit")


def table(scores, questions=ASKED[:1], levels=("1", "2"), low=np.nan):
    """Rows of methods with a score for each level; those whose name begins with "our" are ours."""
    rows = [(question, level, name, name.startswith("our"), own[k], own[k] - low, own[k] + low)
            for question in questions for k, level in enumerate(levels) for name, own in scores.items()]  # fmt: skip
    return pd.DataFrame(rows, columns=list(HARDNESS_COLUMNS))


def lines_of(axes):
    return [line for line in axes.lines if len(line.get_xdata()) and line.get_marker() not in ("None", None, "")]


def test_each_line_is_a_method_s_scores_and_ours_are_filled():
    figure = hardness(table({"ours": [1.0, 0.6], "theirs": [0.9, 0.5]}))
    (axes,) = figure.axes
    mine, other = lines_of(axes)
    assert list(mine.get_ydata()) == [1.0, 0.6] and list(other.get_ydata()) == [0.9, 0.5]
    assert mine.get_markerfacecolor() != "white" and other.get_markerfacecolor() == "white"
    assert (mine.get_linestyle(), other.get_linestyle()) == ("-", "--")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2"]
    assert np.all(np.diff(mine.get_xdata()) == 1) and mine.get_xdata()[0] < other.get_xdata()[0]
    assert {"ours", "theirs"} <= {text.get_text() for text in drawn_texts(figure)}
    check_layout(figure)


def test_a_method_looks_the_same_in_every_panel_and_one_that_is_not_ranked_takes_no_place():
    both = table({"ours": [1.0, 0.6], "theirs": [0.9, 0.5]}, ASKED)
    both.loc[(both.question == ASKED[1]) & (both.method == "ours"), "score"] = np.nan
    first, second = hardness(both).axes
    assert lines_of(first)[1].get_color() == lines_of(second)[0].get_color()
    assert len(lines_of(second)) == 1


def test_intervals_are_drawn_where_there_are_some():
    figure = hardness(table({"ours": [0.9, 0.6]}, low=0.05))
    segments = figure.axes[0].collections[0].get_segments()
    assert [list(one[:, 1]) for one in segments] == [pytest.approx([0.85, 0.95]), pytest.approx([0.55, 0.65])]


def test_a_score_below_a_guess_is_not_cut_off():
    assert hardness(table({"ours": [1.0, 0.1]})).axes[0].get_ylim()[0] < 0.1


def test_where_nothing_is_ranked_that_is_said():
    figure = hardness(table({"ours": [np.nan, np.nan]}))
    assert figure.axes == [] and "Nothing to rank" in drawn_texts(figure)[0].get_text()


def test_the_words_say_who_is_highest_and_lowest_at_the_hardest_level():
    told = hardness_shown(table({"our, first": [1.0, 0.9], "b": [1.0, 0.5], "c": [1.0, 0.9]}))
    assert told == ("The AUROC of each method at 1 and 2. Which unit holds which signal, at 2: highest “our, first” "
                    "and c (0.90), lowest b (0.50).")  # fmt: skip
    same = hardness_shown(table({"a": [0.2, 1.0], "b": [1.0, 1.0]}))
    assert same.endswith("at 2: all 2 methods at 1.00.")
    many = hardness_shown(table({**{f"m{k}": [1.0, 1.0] for k in range(9)}, "low": [0.2, 0.2]}))
    assert many.endswith("highest m0, m1, m2, m3, m4, m5 and 3 more (1.00), lowest low (0.20).")
    assert hardness_shown(table({"alone": [1.0, 0.5]})).endswith("at 2: alone at 0.50.")
    assert hardness_shown(table({"a": [np.nan, np.nan]})).endswith("Nothing is ranked: there is only one answer.")
