"""The `report` command: what it prints, and what it does where there is nothing or something damaged."""

import pytest

import lstm_probe as lp
from lstm_probe.cli.commands import report
from lstm_probe.cli.config import ReportConfig
from lstm_probe.core.errors import InputError
from lstm_probe.sizing.stored import Stored
from tests.figures.made import made_run
from tests.sizing.made import make_up


@pytest.mark.parametrize("pattern", [None, "u8-*"])
def test_no_runs_is_bad_input_and_writes_nothing(tmp_path, pattern):
    with pytest.raises(InputError, match="lstm-probe train"):
        report.run(ReportConfig(runs=pattern, outputs=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_run_is_left_out(tmp_path, monkeypatch, capsys, caplog):
    whole, damaged = made_run(tmp_path, 4), made_run(tmp_path, 8)
    del damaged.__dict__["probes"]  # so that it is read from its file, which is empty
    monkeypatch.setattr(report, "find_runs", lambda outputs, pattern: ([whole, damaged], ["u2: damaged"]))
    report.run(ReportConfig(outputs=str(tmp_path)))
    assert "u2: damaged" in caplog.text and f"{damaged.path / 'probes.parquet'}: damaged" in caplog.text
    text = (tmp_path / "report" / "index.html").read_text()
    assert whole.name in text and damaged.name not in text


def test_what_each_size_did_is_printed(tmp_path, monkeypatch, capsys):
    runs = [made_run(tmp_path, units, scores={"parity": units / 10}) for units in (4, 8)]
    monkeypatch.setattr(report, "find_runs", lambda outputs, pattern: (runs, []))
    report.run(ReportConfig(outputs=str(tmp_path)))
    printed = capsys.readouterr().out
    assert "lstm-probe size task=tracking lr=0.01 outputs=" in printed
    printed = " ".join(printed.split())
    assert "parity: solved with 4 and 8 units in 0 of 1 seed each; the best score is 0.800, with 8 units" in printed
    assert (
        "count: solved with 4 and 8 units in 1 of 1 seed each; fewer than 4 not tried" in printed
        and str(tmp_path / "report" / "index.html") in printed
    )


@pytest.mark.parametrize("where", [{"units": 4}, {"units": [4, 8]}, {}])
@pytest.mark.parametrize("pattern", [None, "u*"])
def test_of_a_part_of_the_runs_it_is_said_that_it_is_one(tmp_path, monkeypatch, capsys, where, pattern):
    """Sizes that were tried are not said to be untried, because a filter leaves them out."""
    runs = [made_run(tmp_path, units, seed) for units in (4, 8, 16) for seed in (0, 1)]
    monkeypatch.setattr(report, "find_runs", lambda outputs, pattern: (runs, []))
    report.run(ReportConfig(runs=pattern, where=where, outputs=str(tmp_path)))
    asked = "units=4" if where == {"units": 4} else "units=[4,8]"
    named = " that match u*" if pattern else ""
    part = f"Of 6 runs{named}, those with {asked}" if where else f"The runs{named}"
    words = f"{part}: what is said of sizes and seeds, tried or not, is of these alone."
    page = " ".join((tmp_path / "report" / "index.html").read_text().split())
    partly = bool(where or pattern)
    assert (words in " ".join(capsys.readouterr().out.split())) == (words in page) == partly
    assert ("Every run that was asked for." in page) == partly


def test_where_a_search_has_answered_that_is_said_first(tmp_path, monkeypatch, capsys):
    make_up(monkeypatch, lambda units, seed: 0.995 if units >= 3 else 0.2)
    runs = [made_run(tmp_path, units, scores={"parity": units / 10}) for units in (4, 8)]
    found = lp.size("tracking", largest=8, lr=0.01, outputs=tmp_path)
    question = {key: runs[0].config[key] for key in ("task", "lr")}
    monkeypatch.setattr("lstm_probe.sizing.stored.stored_sizes", lambda outputs: ([Stored(found, question)], []))
    monkeypatch.setattr(report, "find_runs", lambda outputs, pattern: (runs, []))
    report.run(ReportConfig(outputs=str(tmp_path)))
    printed = " ".join(capsys.readouterr().out.split())
    assert f"{found.sentence} Counts as solved" in printed and "lstm-probe size" not in printed


def test_what_is_not_finished_is_said_to_be_missing(tmp_path, monkeypatch, capsys):
    run = made_run(tmp_path, 4)
    monkeypatch.setattr(report, "find_runs", lambda outputs, pattern: ([run], []))
    report.run(ReportConfig(outputs=str(tmp_path)))
    assert "Not on the page" not in capsys.readouterr().out
    (run.path.parent / ".u8-s0-12345678.abc.partial").mkdir()
    report.run(ReportConfig(outputs=str(tmp_path)))
    assert "Not on the page: 1 run is unfinished" in capsys.readouterr().out
