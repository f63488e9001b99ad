"""What a run has reached is not made again after an interruption, and ends as if nothing had been."""

import os
import shutil
from collections import Counter

import pandas as pd
import pytest

from lstm_probe.core.digests import sealed
from lstm_probe.core.errors import InputError
from lstm_probe.runs import measure, training
from lstm_probe.runs.making import making
from lstm_probe.runs.measure import Subject
from lstm_probe.runs.reached import CHECKPOINT, LIST, Reached, remove
from lstm_probe.runs.run import load_run
from tests.processes import run
from tests.runs.cut import FEW, train

#: What differs from one making to the next: the time, and what has it.
TIMES = ("seconds", "finished", "files", "digest")


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A run with few analyses that nothing disturbed."""
    return train(tmp_path_factory.mktemp("few"), FEW)


def only(outputs):
    """The run that is the only one there."""
    (folder,) = (outputs / "runs" / "flipflop").iterdir()
    return load_run(folder)


def assert_the_same(run, whole):
    """Compare all of two runs but for the times."""
    run.check()
    assert run.uncovered == [] and set(run.files) == set(whole.files)
    for name in ("model.safetensors", "config.yaml", "examples.safetensors", *(f"{n}.parquet" for n in run.measured)):
        assert run.read(name, bytes) == whole.read(name, bytes), name
    pd.testing.assert_frame_equal(run.history.drop(columns="seconds"), whole.history.drop(columns="seconds"))
    infos = [{key: value for key, value in one.info.items() if key not in TIMES} for one in (run, whole)]
    assert infos[0] == infos[1] and infos[0]["warnings"] and infos[0]["checks"]
    assert set(run.info["seconds"]) == set(whole.info["seconds"])


def cut(kind, moment, outputs, number):
    """Make a run in many processes; return how many, what was made how often, and what was said."""
    done = run(kind, moment, str(outputs), number, module="tests.runs.cut")
    assert done.returncode == 0, done.stderr
    made = (outputs / "made.txt").read_text().split()
    return int(done.stdout.split()[-1]), Counter(made), done.stderr


@pytest.mark.slow
def test_killed_after_each_of_all_steps_nothing_is_made_twice(tmp_path):
    whole = train(tmp_path / "whole")
    count, made, said = cut("kill", "after", tmp_path, "all")
    assert made == Counter(["training", *whole.measured]) and count == len(whole.measured) + 2 > 10
    assert "trained before it was interrupted" in said and "measured before it was interrupted: probes" in said
    assert_the_same(only(tmp_path), whole)


@pytest.mark.parametrize(("kind", "moment"), [("kill", "after"), ("kill", "within"), ("ctrl-c", "after"),
                                              ("ctrl-c", "within"), ("memory", "after")])  # fmt: skip
def test_ended_in_any_way_it_goes_on_and_ends_the_same(tmp_path, few, kind, moment):
    count, made, _ = cut(kind, moment, tmp_path, "few")
    steps = Counter(["training", *few.measured])
    assert set(made) == set(steps)
    if moment == "after":
        assert made == steps and count == len(steps) + 1
    else:  # the one that is half written is made again; nothing else is
        assert max(made.values()) == 2 and made.total() == len(steps) + count - 1
    assert_the_same(only(tmp_path), few)


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """The store of a run that was interrupted when all was measured."""
    outputs = tmp_path_factory.mktemp("left")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "finish", interrupted(training.finish))
        train(outputs, FEW)
    return outputs


@pytest.fixture
def hidden(tmp_path, left):
    """The hidden folder of that run, to do with as one likes."""
    shutil.copytree(left, tmp_path / "store")
    (folder,) = (tmp_path / "store" / "runs" / "flipflop").iterdir()
    assert (folder / LIST).is_file() and (folder / "tuning.parquet").is_file()
    return folder


def interrupted(function):
    """Let a function do its work, and then be interrupted."""

    def call(*arguments, **keywords):
        function(*arguments, **keywords)
        raise KeyboardInterrupt

    return call


def made_again(monkeypatch):
    """Return the list into which the names of analyses go that are made from now on."""
    made, table = [], Subject.table
    monkeypatch.setattr(Subject, "table", lambda self, analysis: made.append(analysis.name) or table(self, analysis))
    return made


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def in_place_of(path, change):
    remove(path)
    change(path)


TABLE, ALL = ["tuning"], ["probes", "populations", "tuning", "ablations", "timescales"]
DAMAGE = {
    "nothing": (LIST, lambda path: None, []),
    "a bit of a table": ("tuning.parquet", flipped, TABLE),
    "half a table": ("tuning.parquet", lambda path: os.truncate(path, 99), TABLE),
    "an empty table": ("tuning.parquet", lambda path: os.truncate(path, 0), TABLE),
    "no table": ("tuning.parquet", remove, TABLE),
    "a folder": ("tuning.parquet", lambda path: in_place_of(path, lambda own: own.mkdir()), TABLE),
    "a link": ("tuning.parquet", lambda path: in_place_of(path, lambda own: own.symlink_to("nowhere")), TABLE),
    "another table": ("tuning.parquet", lambda path: path.write_bytes(
        (path.parent / "probes.parquet").read_bytes()), TABLE),
    "a bit of the list": (LIST, flipped, ALL),
    "an empty list": (LIST, lambda path: os.truncate(path, 0), ALL),
    "a list of another kind": (LIST, lambda path: path.write_text(sealed({"steps": [1]})), ALL),
    "a list without bases": (LIST, lambda path: path.write_text(sealed({"steps": {"tuning": {"files": {}}}})), ALL),
    "a list that is a folder": (LIST, lambda path: in_place_of(path, lambda own: own.mkdir()), ALL),
    "a list that leads elsewhere": (LIST, lambda path: path.write_text(sealed({"steps": {"tuning": {
        "basis": "", "files": {"../../x": {"sha256": "", "bytes": 1}}, "about": {}, "warnings": []}}})), ALL),
    "the examples": ("examples.safetensors", flipped, []),
    "the network": ("model.safetensors", flipped, []),
    "the checkpoint too": (CHECKPOINT, flipped, []),
}  # fmt: skip


@pytest.mark.parametrize(("file", "damage", "again"), DAMAGE.values(), ids=DAMAGE)
def test_what_is_damaged_is_made_again_and_nothing_else(hidden, few, monkeypatch, caplog, file, damage, again):
    damage(hidden / file)
    made = made_again(monkeypatch)
    run = train(hidden.parents[2], FEW)
    assert made == again
    said = [line for line in caplog.messages if "damaged" in line]
    assert len(said) == (file != CHECKPOINT and damage not in (remove, DAMAGE["nothing"][1]))
    assert all(f"/{file}: damaged (" in line for line in said)
    assert [line for line in run.info["warnings"] if "damaged" not in line] == few.info["warnings"]
    for name in (*few.measured, "history"):
        one, other = (getattr(own, name).drop(columns="seconds", errors="ignore") for own in (run, few))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    run.check()
    assert [path.name for path in run.path.parent.iterdir()] == [run.name] and run.uncovered == []


def test_what_another_version_has_measured_is_measured_again(hidden, few, monkeypatch):
    monkeypatch.setattr(measure, "provenance", lambda: {"versions": {"lstm-probe": "0.0"}, "git": None})
    made = made_again(monkeypatch)
    assert_the_same(train(hidden.parents[2], FEW), few)
    assert made == ALL


def test_what_was_measured_with_other_settings_or_of_another_network_is_measured_again(tmp_path, few):
    """Of the very same configuration, that is: else it would be another run."""
    for name in ("config.yaml", "model.safetensors"):
        (tmp_path / name).write_bytes(few.read(name, bytes))
    settings = {command: few.settings(command) for command in ("probe", "ablate", "dynamics")}

    def bases(not_ablated=False, **probe):
        own = settings | {"probe": settings["probe"] | probe}
        return measure._bases(tmp_path, few.model, few.task, own, not_ablated)

    one = bases()
    assert len(set(one.values())) == 3 and one == bases()
    other = bases(alpha=0.04)
    assert [command for command in one if one[command] != other[command]] == ["probe"]
    assert bases(analyses=[]) == one
    flipped(tmp_path / "model.safetensors")
    assert not {*bases().values()} & {*one.values(), *bases(not_ablated=True).values()}


def test_what_is_no_longer_asked_for_does_not_get_into_the_run(hidden, monkeypatch):
    (hidden / "figures").mkdir()
    (hidden / "figures" / "tuning.svg").touch()
    made = made_again(monkeypatch)
    run = train(hidden.parents[2], FEW | {"probe": ["probes", "saturation"]})
    assert made == ["saturation"] and set(run.measured) == {"probes", "saturation", "ablations", "timescales"}
    assert not {"tuning.parquet", "populations.parquet", "figures/tuning.svg"} & {*run.files} and run.uncovered == []


def test_what_is_filled_in_goes_on_too(tmp_path, few, monkeypatch):
    train(tmp_path, FEW, measure=False)
    made = made_again(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(Reached, "add", interrupted(Reached.add))
        for _ in ALL:
            with pytest.raises(KeyboardInterrupt):
                train(tmp_path, FEW)
            assert load_run(next((tmp_path / "runs" / "flipflop").glob("[!.]*"))).measured == ()
    assert_the_same(train(tmp_path, FEW), few)
    assert made == ALL and [path.name for path in (tmp_path / "runs" / "flipflop").iterdir()] == [few.name]


def test_what_is_left_of_a_training_that_was_forced_takes_nothing_from_the_run(tmp_path, few, monkeypatch):
    """It was cut when it had measured; then something else is added to the run that is there."""
    few_less = FEW | {"probe": ["probes", "populations"]}
    train(tmp_path, few_less)
    monkeypatch.setattr(training, "finish", interrupted(training.finish))
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, few_less, force=True)
    monkeypatch.undo()
    made = made_again(monkeypatch)
    assert_the_same(train(tmp_path, FEW), few)
    assert made == TABLE and [path.name for path in (tmp_path / "runs" / "flipflop").iterdir()] == [few.name]


@pytest.mark.parametrize(("error", "stays"), [
    (InputError("bad"), False), (OSError(28, "full"), True), (KeyboardInterrupt(), True), (RuntimeError("bug"), True),
])  # fmt: skip
@pytest.mark.parametrize("earlier", [False, True])
def test_what_stays_of_an_attempt(tmp_path, error, stays, earlier):
    """Bad input leaves nothing but what was there before; of all else what was reached stays."""
    folder = tmp_path / "hidden"
    if earlier:
        folder.mkdir()
        Reached(folder).add("one", "", {"a": b"1"}, {}, [])
    with pytest.raises(type(error)), making(folder, fresh=False):
        Reached(folder).add("two", "", {"b": b"2"}, {}, [])
        raise error
    assert folder.exists() == (stays or earlier)
    if folder.exists():
        assert Reached(folder).get("one", "") == ({} if earlier else None)
        assert Reached(folder).get("two", "") == {} and Reached(folder).get("two", "other") is None
