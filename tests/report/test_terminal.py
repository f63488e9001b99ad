"""The terminal's table: about a screen, as wide as the terminal, loud where the task was not learned."""

import pandas as pd
import pytest
from rich.console import Console

from lstm_probe.report import print_findings, terminal
from tests.figures.made import (
    ablation_row,
    ablations,
    made_run,
    probe_row,
    probes,
    set_row,
    sets,
    sufficient,
    sufficient_row,
)


@pytest.fixture
def printed(monkeypatch):
    """Print a run's findings at 100 columns; return the lines."""

    def lines(run, **tables):
        console = Console(width=100, record=True, force_terminal=False, highlight=False)
        monkeypatch.setattr(terminal, "out", console)
        print_findings(run, **tables)
        return console.export_text().splitlines()

    return lines


def test_units_are_grouped_and_those_without_a_finding_share_a_line(tmp_path, printed, capsys):
    lines = printed(made_run(tmp_path, units=8))
    assert "Learned: all 5 targets solved" in lines[0]
    row = next(line for line in lines[1:] if " count " in line)
    assert row.split() == ["tracks,", "0", "count", "0.95", "(0.93–0.97)", "0.10", "count", "0.80"]
    assert lines[lines.index(row) + 1].split()[:4] == ["needed", "alone", "1", "latch"]
    assert "nothing found, not needed: units 5–7" in lines
    assert "Clamped alone, 5 of 8 units cost something." in lines
    assert any(line.startswith("tables: ") for line in lines)
    assert all(len(line) <= 100 for line in lines[:-1])


@pytest.mark.parametrize("width", [80, 100])
def test_what_is_needed_together_and_what_all_cost(tmp_path, monkeypatch, width):
    """Unit 5 tracks nothing and is needed together with 0; 6 and 7 are not needed."""
    run = made_run(tmp_path, units=8)
    costs = run.ablations
    both = costs["unit"].isin((0, 5)) & (costs["target"] == "count")
    needed = costs["needed"].mask(costs["unit"] == 0, "no").mask(both, "together")
    at_once = {"no cost alone": "0, 5, 6, 7", "needed together": "0, 5", "not needed": "6, 7"}
    joint = sets(
        *(set_row(units, "count", 0.0 if why == "not needed" else 0.61, why) for why, units in at_once.items())
    )
    enough = sufficient(*(sufficient_row(unit, unit < 6) for unit in range(8)))
    console = Console(width=width, record=True, force_terminal=False, highlight=False)
    monkeypatch.setattr(terminal, "out", console)
    print_findings(run, tables={"ablations": costs.assign(needed=needed), "sets": joint, "sufficient": enough})
    lines = console.export_text().splitlines()
    text = " ".join(" ".join(lines).split())
    assert "tracks, 1 latch" in text and " needed alone 2 parity" in text
    if width == 100:
        assert "tracks, 0 count 0.95 (0.93–0.97) 0.10 count 0.61 with 5 needed together" in text
        assert "needed together, 5 – count 0.61 with 0 nothing found" in text
    for sentence in (
        "Clamped alone, 4 of 8 units cost something; a set of 6 carries the task; the other 2, clamped at once, cost "
        "0.3 % of it.",
        "Clamped at once, the 4 with no cost alone that counts cost 61 % of count [60, 62].",
        "Needed together, though not alone: units 0, 5 (count 0.61).", "nothing found, not needed: units 6, 7",
    ):  # fmt: skip
        assert sentence in text
    assert all(len(line) <= width for line in lines[:-1])


def test_where_an_earlier_version_clamped_it_says_that(tmp_path, printed, capsys):
    run = made_run(tmp_path, units=8)
    run.__dict__["ablations"] = run.ablations.assign(needed="not measured", refit_drop=float("nan"))
    text = " ".join(" ".join(printed(run)).split())
    assert "Which units are needed was measured by an earlier version" in text and "nothing found: units 5–7" in text
    assert "cost" not in text and "needed alone" not in text


def test_what_was_not_learned_comes_first(tmp_path, printed, capsys):
    lines = printed(made_run(tmp_path, scores={"parity": 0.02}))
    assert "NOT LEARNED: parity (score 0.02)" in lines[0]


def test_many_units_are_cut_to_the_telling_ones(tmp_path, printed, capsys):
    run = made_run(tmp_path, units=40)
    rows = [probe_row(unit, "count", 0.5 + unit / 100, True) for unit in range(40)]
    costs = [ablation_row(unit, "count", (40 - unit) / 100, unit < 39) for unit in range(40)]
    lines = printed(run, tables={"probes": probes(*rows), "ablations": ablations(*costs)})
    shown = [line for line in lines[1:] if " count " in line]
    assert len(shown) == 16 and "and 24 more: see the report" in lines
    assert any(" 39  count" in line for line in shown)  # tracks it best, though it is not needed
    assert any("  0  count" in line for line in shown)  # costs most


def test_signals_that_no_unit_tracks_are_named(tmp_path, printed, capsys):
    lines = printed(made_run(tmp_path, units=3))
    assert any(line.startswith("leak: no single unit was found to track it") for line in lines)
    assert not any(line.startswith("ticks") for line in lines)  # a distractor is no loss


def test_the_folder_of_another_analysis_is_named(tmp_path, printed, capsys):
    run = made_run(tmp_path)
    (run.path / "report.html").touch()
    assert printed(run)[-1].startswith("report: ")
    assert printed(run, folder=tmp_path / "analyses")[-1] == f"tables: {tmp_path / 'analyses'}"


def test_what_is_not_known_is_a_dash(tmp_path, printed):
    run = made_run(tmp_path)
    unknown = dict.fromkeys(("ci_low", "ci_high", "untrained"), float("nan"))
    lines = printed(run, tables={"probes": run.probes.assign(**unknown)})
    row = next(line for line in lines[1:] if " count " in line)
    assert row.split()[-4:] == ["0.95", "–", "count", "0.80"] and "nan" not in "\n".join(lines)


def test_what_could_not_be_tested_is_said_once_with_its_reason(tmp_path, printed, capsys):
    run = made_run(tmp_path, units=3)
    table = run.probes.assign(tracks=False, testable=False)
    names = list(table["signal"].unique())
    table.attrs["not_testable"] = dict.fromkeys(names, "permutations=19: too few for 7 signals")
    lines = printed(run, tables={"probes": table})
    told = " ".join(lines)
    assert told.count("too few for 7 signals") == 1 and "nothing found" not in told and "found to track" not in told
    assert "needed alone, 0 – count 0.80 not testable 1 –" in " ".join(told.split())
    assert any(line.startswith("count: could not be tested (best: unit 0, effect 0.95;") for line in lines)


@pytest.mark.parametrize("rows", [2, 0])
def test_a_small_table_keeps_numbers_that_are_all_alike_and_an_empty_one_is_said(tmp_path, rows, capsys):
    table = pd.DataFrame({
        "layer": [0, 0], "direction": ["forward"] * 2, "unit": [3, 1], "target": ["a", "a"], "mean": [0.5, 0.25],
        "zero": [0.75, 0.75], "resample": [0.1, 0.2], "off_data": ["", "zero"], "disagree": [True, True],
    })[:rows]  # fmt: skip
    run = made_run(tmp_path)
    print_findings(run, tables={"modes": table}, folder=tmp_path)
    text = " ".join(capsys.readouterr().out.split())
    title = "modes: whether it matters what a unit is clamped to: its mean, zero, or other sequences' values"
    assert text.startswith(title + (": nothing to show" if not rows else " unit target mean zero resample off data"))
    assert ("3 a 0.5 0.75 0.1" in text) == bool(rows) and "forward" not in text
