"""Answers of searches are copied from another store, whole or not at all."""

import lstm_probe as lp
from lstm_probe.cli import main
from lstm_probe.core.digests import digests_of
from lstm_probe.sizing.stored import load_size, merge_sizes, stored_sizes
from tests.sizing.made import make_up


def test_answers_that_are_not_here_are_copied_as_they_are(tmp_path, monkeypatch, capsys):
    here, there = tmp_path / "here", tmp_path / "there"
    make_up(monkeypatch, lambda units, seed: 0.995 if units >= 3 else 0.2)
    found = lp.size("tracking", largest=4, lr=0.01, budget=4, outputs=there)
    (here / "runs").mkdir(parents=True)
    (there / "runs").mkdir(exist_ok=True)
    main(["runs", f"merge={there}", f"outputs={here}"])
    assert "1 answer of searches copied." in capsys.readouterr().out
    (own,) = stored_sizes(here)[0]
    assert own.size.sentence == found.sentence and digests_of(here / "sizes") == digests_of(there / "sizes")
    assert merge_sizes(there, here) == ([], [])


def test_a_damaged_answer_is_named_and_not_copied(tmp_path, monkeypatch):
    there = tmp_path / "there"
    make_up(monkeypatch, lambda units, seed: 0.995)
    found = lp.size("tracking", largest=4, lr=0.01, budget=4, outputs=there)
    for name in ("size.svg", "trials.parquet"):
        content = (found.path / name).read_bytes()
        (found.path / name).write_bytes(content[:-1] + b"!")
        copied, damaged = merge_sizes(there, tmp_path / "here")
        assert copied == [] and len(damaged) == 1 and str(found.path) in damaged[0]
        assert not (tmp_path / "here" / "sizes").exists()
        (found.path / name).write_bytes(content)
    (place,), damaged = merge_sizes(there, tmp_path / "here")
    assert not damaged and load_size(place).sentence == found.sentence
