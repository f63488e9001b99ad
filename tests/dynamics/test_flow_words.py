"""What is said of how a memory is written, held and read: only what an intervention confirmed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import lstm_probe as lp
from lstm_probe.dynamics.flow import COLUMNS
from lstm_probe.dynamics.flow_words import best_read, flow_rows, flow_sentences
from tests.handmade import counter_and_latch, counting_batch, flipflops


def table_of(*rows, unit=3):
    own = {"run": "", "task": "", "units": 8, "seed": 0, "layer": 0, "direction": "forward", "variable": "c"}
    table = pd.DataFrame([{**own, "unit": unit, **row} for row in rows]).reindex(columns=list(COLUMNS))
    return table.astype({"confirmed": "boolean", "lag": "Int64", "n": "Int64", "other": "string"})


def write(other, effect, confirmed, **more):
    common = {"ci_low": effect, "least": 0.1, "written": effect, "signed": effect, "slope": 0.0, "f": 0.02}
    return {"link": "write", "other": other, "effect": effect, "confirmed": confirmed, **common, **more}


def hold(left, alone, other="set, reset", lag=15, f=0.48):
    confirmed = abs(left - alone) <= 0.1
    return {"link": "hold", "other": other, "lag": lag, "n": 99, "effect": left, "gate_alone": alone, "f": f,
            "tau_forget": 1.36, "confirmed": confirmed}  # fmt: skip


def read(other, effect, confirmed=True, share=np.nan):
    return {"link": "read", "other": other, "lag": 1, "n": 99, "effect": effect, "confirmed": confirmed, "share": share}


def said(*rows):
    return list(flow_sentences(table_of(*rows), None))


READ = read("output latch", 1.4, share=0.998)


def test_a_latch_that_rewrites_itself_is_told_right():
    rows = (
        write("set", 1.1, True, written=0.91, signed=0.83),
        write("reset", 1.0, True, written=-0.98, signed=-0.9, f=0.15),
        *(
            write("tick", 0.07, False),
            hold(1.0, 0.5, lag=1),
            hold(1.06, 0.001),
            READ,
            read("unit 5 g", 0.5),
            read("unit 5 i", 0.7),
        ),
        *(read("unit 3 g", 0.6), read("unit 9 c", 0.9), read("unit 7 f", 0.02, confirmed=False)),
    )
    assert said(*rows) == [
        "Written by set (+0.91, f 0.02) and reset (−0.98, f 0.15); nothing else that was put in changes it by more "
        "than 0.07.",
        "Held: without these its forget gate is 0.48 (time constant 1.4 steps), but of another sequence's value 1.06 "
        "is left after 15 steps, where that gate alone would leave 0.00: it rewrites itself.",
        "Read by output latch (1.00 of its variance), and by the input gate of unit 5 (0.70 sd).",
    ]


@pytest.mark.parametrize(("first", "last", "words"), [
    (0.5, 1.06, "others write it again"), (0.59, 0.95, "others write it again"), (0.98, 0.75, "it rewrites itself"),
    (1.02, 1.2, "it rewrites itself"), (0.8, 0.9, "it rewrites itself, with or without others"),
    (None, 0.9, "it is written again"),
])  # fmt: skip
def test_what_is_left_after_one_step_the_unit_wrote_itself(first, last, words):
    """Of a step the gate alone leaves 0.5; what others have read they can give back one step later at the earliest."""
    step = [] if first is None else [hold(first, 0.5, lag=1)]
    assert said(write("set", 1.0, True), *step, hold(last, 0.001), READ)[1].endswith(f"leave 0.00: {words}.")


@pytest.mark.parametrize(("share", "words"), [
    (0.998, "1.00 of its variance"), (1.04, "1.04 of its variance"), (0.004, "1.40 sd"), (-0.08, "1.40 sd"),
    (1.3, "1.40 sd"), (np.nan, "1.40 sd"),
])  # fmt: skip
def test_what_is_no_share_of_a_variance_is_not_called_one(share, words):
    """Of an output y = 2 a - b with b = a + noise, the term of b has a negative share, and that of a one above 1."""
    assert said(write("set", 1.0, True), hold(0.5, 0.5), read("output latch", 1.4, share=share))[2] == (
        f"Read by output latch ({words})."
    )


def test_a_unit_that_adds_a_little_to_what_its_gate_keeps_rewrites_itself():
    """Of 0.95 that the gate leaves and 0.99 that is left, 0.77 and 0.95 are left after five steps."""
    rows = [hold(0.99, 0.95, lag=1, f=0.95), hold(0.95, 0.77, lag=5, f=0.95)]
    assert said(write("set", 1.0, True), *rows, READ)[1].endswith("alone would leave 0.77: it rewrites itself.")


def test_what_turns_over_and_what_adds_up():
    both = write("flip", 2.3, True, slope=-0.1, signed=-0.07, written=-0.4)
    assert said(both, hold(0.5, 0.5), READ)[0] == "Written by flip (±2.3, f 0.02)."
    flip, up = write("flip", 1.2, True, slope=-0.9, signed=-0.7), write("up", 0.1, True, slope=1.0, f=1.0, written=0.3)
    assert said(flip, up, hold(0.5, 0.5, ""), READ)[:2] == [
        "Written by flip (±1.2, f 0.02) and up (+0.1, f 1.00).",
        "Held: its forget gate is 0.48 (time constant 1.4 steps), and of another sequence's value 0.50 is left after "
        "15 steps, as that gate alone would leave (0.50).",
    ]


def test_what_was_not_confirmed_is_said_as_such():
    nothing = {"link": "write", "other": "nothing", "f": 0.5}
    signal = {"link": "write", "other": "latch becomes 1", "f": 0.5, "change": 1.9}
    none = hold(np.nan, np.nan)
    assert said(nothing, signal, none, read("output a", np.nan, pd.NA)) == [
        "What writes it was not shown: no input event comes alone often enough to be told from others.",
        "Held: without these its forget gate is 0.48 (time constant 1.4 steps); how long a value lasts was not shown: "
        "too few sequences go on so, or its values do not differ.",
        "Who reads it was not shown: at the steps looked at, its value is the same in all sequences.",
    ]
    assert said(write("set", 0.05, False), none, read("output a", 0.01, False))[::2] == [
        "No input event was confirmed to write it: none that was put in changes it by more than 0.05.",
        "Nothing else was shown to read it: no output, and no unit, changes enough when it holds another value.",
    ]
    assert said(write("set", 0.5, False), none, read("output a", 0.01, False), read("unit 1 o", 0.3))[::2] == [
        "What writes it was not confirmed: set (0.5).",
        "Read by the output gate of unit 1 (0.30 sd); no output was shown to read it.",
    ]
    doubtful = said(write("set", 1.0, True), write("up", 0.5, False), hold(0.2, 0.9), READ)
    assert doubtful[0] == "Written by set (+1, f 0.02); not confirmed: up (0.5)."
    assert doubtful[1].endswith("leave 0.90: it is undone.")
    assert said() == []


@pytest.fixture(scope="module")
def table():
    names = ["up", "down", "set", "reset"]
    return lp.memory_flow(counter_and_latch(3), counting_batch(1, 300), input_names=names, bootstrap=100)


def test_the_page_has_a_row_for_each_unit_and_draws_those_that_are_read(table):
    rows = flow_rows(table).set_index("unit")
    assert len(rows) == 8 and rows.loc["3", "read_by"] == "count" and rows.loc["5", "read_by"] == "latch"
    assert set(rows.loc["3", "written_by"].split(", ")) == {"up", "down"}
    assert (rows.drop(["3", "5"])["read_by"] == "").all()
    drawn = best_read(table)
    assert list(drawn["unit"].unique()) == list(dict.fromkeys(drawn["unit"])) and set(drawn["unit"]) == {3, 5}
    figure = lp.figures.memory_flow(drawn)
    assert len(figure.axes) == 6
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert {"output latch", "output count"} >= {figure.axes[k].get_yticklabels()[-1].get_text() for k in (2, 5)}
    assert set(labels[-2:]) in ({"set", "reset"}, {"up", "down"})


def test_bars_are_as_long_as_the_effects(table):
    own = table[table["unit"] == 5]
    axes = lp.figures.memory_flow(own).axes
    written = own[(own["link"] == "write") & own["effect"].notna()].sort_values("effect", kind="stable")
    assert sorted(bar.get_width() for bar in axes[0].patches) == pytest.approx(sorted(written["effect"]))
    held = own[(own["link"] == "hold") & own["effect"].notna()]
    assert axes[1].lines[1].get_ydata().tolist() == pytest.approx([1, *held["effect"]])
    assert axes[1].lines[0].get_ydata().tolist() == pytest.approx([1, *held["gate_alone"]])


def test_the_time_constant_is_that_of_the_share_that_is_said_to_be_kept(table):
    """Of random units, whose gates are never quite the same: f of the mean gate, e^(-1 / tau), is one number."""
    held = table[(table["link"] == "hold") & ~table["unit"].isin([3, 5])]
    assert len(held) == 6 * 3
    assert np.exp(-1 / held["tau_forget"]).to_numpy() == pytest.approx(held["f"].to_numpy(dtype=float), rel=1e-9)


def test_layers_are_named_and_a_units_own_gates_are_no_readers():
    task = lp.get_task("flipflop", bits=2, length=40)
    made = lp.memory_flow(flipflops(2, 3, 2, seed=1), task.sample(200, 1), input_names=task.input_names, bootstrap=20)
    own = made[(made["layer"] == 0) & (made["unit"] == 0)]
    words = list(flow_sentences(own, None))
    assert words[1].endswith("it rewrites itself.") and "of unit 0·0" not in words[2] and "unit 1·0 (" in words[2]


def test_times_are_drawn_with_the_signals_own():
    net = lp.planted.combine([lp.planted.Latch(), lp.planted.Parity()], random_units=2)
    batch = net.sample(100, 40, seed=1)
    times = lp.timescales(net.model, batch, batch.signals)
    axes = lp.figures.timescales(times[times["tau_memory"].notna()]).axes[0]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["goes with none", "latch", "parity"]
    marks = [line for line in axes.lines if list(line.get_xdata()) == [1.02]]
    assert [line.get_ydata()[0] for line in marks] == pytest.approx(
        [times.loc[times["signal"] == name, "tau_signal"].iloc[0] for name in ("latch", "parity")])  # fmt: skip


def test_what_came_too_rarely_to_be_put_in_is_not_said_to_write_nothing():
    """A counter whose down comes ten times in all; other inputs, that it does not listen to, come often."""
    model, batch = counter_and_latch(3), counting_batch(1, 60)
    inputs = batch.inputs.clone()
    inputs[..., 1] = 0
    inputs[torch.arange(10), torch.arange(10) + 5, 1] = 1
    table = lp.memory_flow(model, replace(batch, inputs=inputs), units=[3], bootstrap=50, after=[1],
                           input_names=["up", "down", "set", "reset"])  # fmt: skip
    assert "down" not in table["other"].tolist()
    assert next(flow_sentences(table, None)) == (
        "Written by up (+0.05, f 1.00); nothing else that was put in changes it by more than 0."
    )


def test_a_memory_that_nothing_ever_changed_is_not_said_to_be_written():
    still = [{**write(name, 0.0, False), "least": 0.0} for name in ("up", "down")]
    assert said(*still, hold(np.nan, np.nan), READ)[0] == (
        "No input event was confirmed to write it: none that was put in changes it by more than 0."
    )
