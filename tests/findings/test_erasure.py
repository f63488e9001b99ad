"""What is said of erased signals and of moves, for every way that it can come out."""

import numpy as np
import pandas as pd

from lstm_probe.findings.erasure import erasure_rows, erasure_sentences, steering_rows, steering_sentences


def row(signal, target, left, **other):
    return {
        "variable": "h", "signal": signal, "target": target, "left": left, "ci_low": left - 0.01,
        "ci_high": left + 0.01, "control_low": 0.48, "control_high": 0.99, "controls": 20, "p_value": 0.048,
        "r2_before": 0.99, "r2_worst": 0.01, "seen": 1.0, "gone": True,
    } | other  # fmt: skip


def said(*rows):
    return list(erasure_sentences(pd.DataFrame(rows)))


def test_a_signal_that_is_gone():
    assert said(row("count", "count", 0.03), row("count", "latch", 0.97), row("count", "leak", 1.0)) == [
        "Taking count's linear trace out of h at every step leaves 0.03 [0.02, 0.04] of count and 0.97 to 1.00 of the "
        "others; 20 random directions leave 0.48 to 0.99 of count."
    ]
    assert said(row("ticks", "count", 1.0), row("ticks", "since", 0.49, p_value=0.095)) == [
        "Taking ticks's linear trace out of h at every step leaves 0.49 [0.48, 0.50] of since and 1.00 of the other; "
        "20 random directions leave 0.48 to 0.99 of since, so it is not told apart from these."
    ]
    assert said(row("a", "a", 0.03, controls=1, p_value=0.5)) == [
        "Taking a's linear trace out of h at every step leaves 0.03 [0.02, 0.04] of a; 1 random direction leaves 0.48 "
        "to 0.99 of a, too few to tell it apart (19 are the fewest)."
    ]
    unknown = {"control_low": np.nan, "control_high": np.nan, "p_value": np.nan, "controls": 0}
    assert said(row("a", "a", 0.5, variable="both", **unknown)) == [
        "Taking a's linear trace out of c and h at every step leaves 0.50 [0.49, 0.51] of a; it was not compared with "
        "random directions."
    ]


def test_what_was_not_shown_is_said_to_be_so():
    assert said(row("a", "a", 0.5, gone=False, r2_worst=0.31)) == [
        "a was not taken out everywhere: at a step R² 0.31 is left. More sequences may do it."
    ]
    assert said(row("a", "a", 0.5, gone=False, seen=0.5, r2_worst=np.nan, r2_before=np.nan)) == [
        "Whether a was taken out was not measured: too few sequences."
    ]
    assert said(row("a", "a", 0.5, r2_before=0.001)) == ["Of a there was no linear trace to take out (R² 0.00)."]
    assert said(row("a", "a", np.nan)) == []


def test_the_small_table_has_a_row_for_each_signal():
    table = erasure_rows(pd.DataFrame([
        row("a", "a", 0.1), row("a", "b", 0.9), row("a", "c", 0.8, control_low=0.2), row("d", "a", np.nan, gone=False),
    ]))  # fmt: skip
    assert table.iloc[0].tolist() == ["a", "0.10 [0.09, 0.11]", "0.48 to 0.99", "c 0.80", "0.20 to 0.99", "0.99",
                                      "0.01", "yes"]  # fmt: skip
    assert table.iloc[1].tolist() == ["d", "", "", "", "", "0.99", "0.01", "no"]


def moved(signal, target, after, slope, **other):
    return {
        "signal": signal, "part": "", "target": target, "output": 0, "after": after, "slope": slope,
        "ci_low": slope - 0.01, "ci_high": slope + 0.01, "observed": 0.45, "control_low": -0.1, "control_high": 0.1,
        "p_value": 0.048, "controls": 20, "linear": 1.0, "r2": 0.99,
    } | other  # fmt: skip


def test_moves():
    table = pd.DataFrame([
        moved("a", "a", 1, 0.41), moved("a", "b", 1, 0.0), moved("a", "a", 5, 0.43),
        moved("b", "b", 1, 0.1, p_value=0.5),
        moved("d", "d", 1, 0.2, r2=0.3), moved("e", "a", 1, 0.1), moved("e", "b", 1, -0.4), moved("e", "b", 5, 0.0),
    ])  # fmt: skip
    assert list(steering_sentences(table)) == [
        "Moving the state along a by 1 changes its output by 0.41 after 1, 0.43 after 5 steps; where a itself is 1 "
        "higher, that output is 0.45 higher after 1.",
        "That a move of the state along b changes its output more than random ones do is not shown.",
    ]
    few = pd.DataFrame([moved("a", "a", 1, 0.4, p_value=1 / 19, controls=18), moved("b", "b", 1, 0.4, controls=0,
                                                                                    p_value=np.nan)])  # fmt: skip
    assert list(steering_sentences(few)) == [
        f"What moving the state along {name} does was tried beside {beside} only, too few to tell it apart (19 are the "
        "fewest)." for name, beside in (("a", "18 random directions"), ("b", "0 random directions"))
    ]  # fmt: skip
    small = steering_rows(table)
    assert small[["signal", "target", "after"]].values.tolist() == [
        ["a", "a", 1], ["a", "a", 5], ["b", "b", 1], ["d", "d", 1], ["e", "b", 1], ["e", "b", 5]
    ]  # fmt: skip
    assert small.iloc[0]["slope"] == "0.41 [0.40, 0.42]" and small.iloc[0]["random"] == "-0.10 to 0.10"
