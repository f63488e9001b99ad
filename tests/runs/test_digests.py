"""A run's files are what was written, and a run from somebody else leads nowhere out of its folder."""

import hashlib
import importlib.util
import io
import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from lstm_probe.cli import main
from lstm_probe.core.digests import DamagedError, read_regular, read_told, sealed, unsealed
from lstm_probe.core.errors import InputError
from lstm_probe.runs.again import analyse_again
from lstm_probe.runs.checking import check_folder
from lstm_probe.runs.making import seal
from lstm_probe.runs.opening import find_runs
from lstm_probe.runs.run import load_run
from lstm_probe.runs.schema import SCHEMA
from lstm_probe.runs.store import config_hash
from tests.runs.test_again import QUICK

SCRIPT = Path(__file__).parents[2] / "scripts" / "flips.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with one finished run."""
    outputs = tmp_path_factory.mktemp("outputs")
    assert main(["train", *QUICK, f"outputs={outputs}"]) == 0
    return outputs


@pytest.fixture
def store(made, tmp_path):
    """A store of one's own."""
    shutil.copytree(made, tmp_path / "o")
    return tmp_path / "o"


@pytest.fixture
def folder(store):
    """The folder of its one run."""
    (folder,) = (store / "runs" / "flipflop").iterdir()
    return folder


def rewrite(folder, **changes):
    """Change a run.json as somebody would who knows how it is made."""
    info = {key: value for key, value in unsealed((folder / "run.json").read_bytes()).items() if key != "digest"}
    (folder / "run.json").write_text(sealed({**info, **changes}))


def test_everything_in_a_finished_run_is_listed_with_its_own_digest(folder):
    info = json.loads((folder / "run.json").read_text())
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {"run.json"}
    assert set(info["files"]) == there and "figures/units.svg" in there and "train.log" in there
    for name, told in info["files"].items():
        content = (folder / name).read_bytes()
        assert told == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    load_run(folder).check()
    assert load_run(folder).uncovered == []


@pytest.mark.parametrize("seed", [11, 12])
def test_a_flipped_bit_is_named_in_whatever_file_it_is(folder, seed):
    spec = importlib.util.spec_from_file_location("flips", SCRIPT)
    flips = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(flips)
    tried = list(flips.places(folder, 50, seed))
    assert len({file for file, _ in tried}) >= 25
    for file, bit in tried:
        assert flips.try_flip(folder, file, bit) != "MISSED", (file, bit)
    load_run(folder).check()


@pytest.mark.parametrize("read", ["config", "history", "probes", "memory", "model", "examples"])
def test_a_file_is_checked_when_it_is_read_and_not_before(folder, read):
    name = {"config": "config.yaml", "model": "model.safetensors", "examples": "examples.safetensors"}
    file = folder / name.get(read, f"{read}.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    run = load_run(folder)
    with pytest.raises(InputError, match=rf"{file.name}: damaged \(its checksum is wrong\); make the run again"):
        getattr(run, read)


@pytest.mark.parametrize("digit", ["1", "2", "3", "9", f'"{SCHEMA}"'])
def test_no_other_number_of_the_form_takes_the_digests_away(folder, digit):
    text = (folder / "run.json").read_text()
    (folder / "run.json").write_text(text.replace(f'"schema": {SCHEMA}', f'"schema": {digit}'))
    with pytest.raises(InputError, match=r"run\.json: damaged \(its digest is wrong\)"):
        load_run(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"run": "u2-s0-00000000"}, "not this folder's run"), ({"run": "../../x"}, "not this folder's run"),
        ({"task": "../../../escaped"}, "not this folder's run"), ({"task": "dyck1"}, "its run.json is of the task"),
        ({"task": "/escaped"}, "not this folder's run"), ({"units": 3}, "not this folder's run"),
        ({"hash": "00000000"}, "not this folder's run"), ({"seed": 1}, "not this folder's run"),
        ({"units": "2"}, "units='2' is not what it must be"), ({"units": True}, "units=True is not"),
        ({"scores": [0.5]}, "scores="), ({"scores": {"a": float("nan")}}, "scores="),
        ({"learned": {"a": 1}}, "learned="),
        ({"seconds": {"train": "long"}}, "seconds="), ({"finished": "yesterday"}, "finished='yesterday'"),
        ({"measured": "probes"}, "measured="), ({"files": {}}, "damaged (no"), ({"files": []}, "files="),
        ({"files": {"../../secret": {"sha256": "", "bytes": 1}}}, "files="), ({"versions": {"a": 1}}, "versions="),
        ({"files": {"/etc/passwd": {"sha256": "", "bytes": 1}}}, "files="), ({"not_ablated": 3}, "not_ablated="),
        ({"schema": 99}, "newer version"), ({"schema": -1}, "schema -1"), ({"status": "failed"}, "not finished"),
    ],
)  # fmt: skip
def test_types_and_names_are_checked_when_a_run_is_opened(store, folder, changes, said, capsys):
    rewrite(folder, **changes)
    with pytest.raises(InputError) as caught:
        load_run(folder)
    assert said in str(caught.value) and str(folder) in str(caught.value) and len(str(caught.value)) < 500
    runs, damaged = find_runs(store)
    assert runs == [] and damaged == list(caught.value.problems)
    for command in ("runs", "report"):
        main([command, f"outputs={store}"])
        shown = capsys.readouterr().err
        assert said in shown and "Traceback" not in shown
    assert not list(store.parent.glob("escaped*")) and not (store / "report").exists()


def test_a_config_is_the_one_that_its_folder_is_named_after(store, folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert folder.name == f"u2-s0-{config_hash(config)}"
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "lr": 0.04}))
    rewrite(folder, files={})
    seal(folder)
    with pytest.raises(
        InputError, match=r"config\.yaml: damaged \(not the configuration that the folder is named after"
    ):
        _ = load_run(folder).config
    assert find_runs(store)[0] == [] and len(find_runs(store)[1]) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("task: {name: flipflop}\nlr: {_target_: os.system}\n", "lr._target_ is not taken"),
        ("task: {name: flipflop}\na: &a [1]\nb: *a\n", "aliases"),
        ("task: {name: !!python/object/apply:os.system [ls]}\n", "could not determine a constructor"),
        ("[" * 5000, "damaged"), ("[" * 3999, "damaged"), ("{a: " * 990, "damaged"), ("[" * 900_000, "damaged"),
        ("task: {name: dyck1}\n", "its task is dyck1"), ("task: 3\n", "not a configuration"),
        ("a: 2020-01-01\ntask: {name: flipflop}\n", "damaged"),
    ],
)  # fmt: skip
def test_a_config_is_plain_data(folder, text, said):
    (folder / "config.yaml").write_text(text)
    seal(folder)
    with pytest.raises(InputError) as caught:
        _ = load_run(folder).config
    assert said in str(caught.value) and "config.yaml: damaged" in str(caught.value)


def swap(file, kind, place):
    """Put something else into a file's place."""
    elsewhere = place / "elsewhere"
    file.rename(elsewhere)
    if kind == "link":
        file.symlink_to(elsewhere)
    elif kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "sparse":
        with file.open("wb") as stream:
            stream.truncate(10**12)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "sparse", "nothing"])
@pytest.mark.parametrize("name", ["probes.parquet", "examples.safetensors", "config.yaml", "run.json"])
def test_nothing_but_the_file_itself_is_opened(store, folder, name, kind, capsys):
    swap(folder / name, kind, store.parent)
    assert main(["report", f"outputs={store}"]) == 2
    assert main(["runs", f"outputs={store}"]) == 0
    shown = capsys.readouterr().err
    assert f"{folder}" in shown and name in shown and "Traceback" not in shown


def test_a_folder_of_figures_that_is_a_link_is_not_followed(folder, tmp_path):
    (folder / "figures").rename(tmp_path / "figures")
    (folder / "figures").symlink_to(tmp_path / "figures")
    with pytest.raises(InputError, match=r"figures/\w+\.svg: damaged \(its folder is a link\)"):
        load_run(folder).check()


def test_analyses_that_are_a_link_are_not_written_into(folder, tmp_path):
    (tmp_path / "away").mkdir()
    (folder / "analyses").symlink_to(tmp_path / "away")
    run = load_run(folder)
    with pytest.raises(InputError, match="analyses: is a link"):
        analyse_again(run, "probe", {**run.settings("probe"), "lags": [1]})
    assert not list((tmp_path / "away").iterdir())


@pytest.mark.parametrize("change", ["bit", "settings", "list"])
def test_an_analysis_made_later_is_what_was_written_too(store, folder, change, capsys):
    run = load_run(folder)
    settings = {**run.settings("probe"), "analyses": ["saturation"], "saturation_low": 0.2}
    place, _ = analyse_again(run, "probe", settings)
    assert not check_folder(folder).problems and main(["runs", f"outputs={store}", "check=true"]) == 0
    if change == "bit":
        content = bytearray((place / "saturation.parquet").read_bytes())
        content[40] ^= 2
        (place / "saturation.parquet").write_bytes(content)
    else:
        about = json.loads((place / "analysis.json").read_text())
        del about["digest"]
        about["settings"] = {"probe": {}} if change == "settings" else about["settings"]
        about["files"] = {} if change == "list" else about["files"]
        (place / "analysis.json").write_text(sealed(about))
    (line,) = check_folder(folder).problems
    assert str(place) in line and "damaged" in line
    assert main(["runs", f"outputs={store}", "check=true"]) == 2
    assert line in capsys.readouterr().err


def test_one_bad_run_blocks_neither_runs_nor_report(store, folder, capsys):
    """The same experiment with another seed is whole; of the first, a table has columns that nothing can be made of."""
    assert main(["train", *QUICK, "seed=1", f"outputs={store}"]) == 0
    table = io.BytesIO()
    pd.DataFrame({"nonsense": ["\x1b[31m"]}).to_parquet(table)
    (folder / "probes.parquet").write_bytes(table.getvalue())
    info = {
        key: value
        for key, value in unsealed((folder / "run.json").read_bytes()).items()
        if key not in ("summary", "digest")
    }
    (folder / "run.json").write_text(json.dumps(info))  # made before there were summaries, so that tables are read
    seal(folder)
    shutil.copytree(folder, folder.with_name("u9-s9-99999999"))
    (folder.parent / "u8-s0-12345678").mkdir()
    capsys.readouterr()
    assert main(["report", f"outputs={store}"]) == 0
    shown = capsys.readouterr()
    assert "report of 1 run:" in shown.out and "Traceback" not in shown.err and "\x1b" not in shown.err
    for name in (folder.name, "u9-s9-99999999", "u8-s0-12345678"):
        assert name in shown.err
    assert main(["runs", f"outputs={store}"]) == 0
    shown = capsys.readouterr()
    assert "u2-s1-" in shown.out and folder.name not in shown.out and folder.name in shown.err
    assert main(["runs", f"outputs={store}", "check=true"]) == 2


def test_runs_check_says_that_all_is_as_written_and_what_came_later(store, folder, capsys):
    (folder / "notes\x1b.txt").write_text("mine")
    assert main(["runs", f"outputs={store}", "check=true"]) == 0
    shown = capsys.readouterr()
    assert "1 of 1 runs have all files as they were written." in shown.out
    assert "not of this run, and not read: notes\\x1b.txt" in shown.err


def test_a_task_is_not_led_to_a_file_that_the_run_has_no_digest_of(folder, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("my secret " * 500)
    config = yaml.safe_load((folder / "config.yaml").read_text()) | {"task": {"name": "text", "path": str(secret)}}
    place = tmp_path / "runs" / "text" / f"u2-s0-{config_hash(config)}"
    shutil.copytree(folder, place)
    (place / "config.yaml").write_text(yaml.safe_dump(config))
    rewrite(place, task="text", run=place.name, hash=config_hash(config))
    seal(place)
    with pytest.raises(InputError, match=r"task\.path=.*: not read, because the digest of its content"):
        _ = load_run(place).task
    main(["report", f"outputs={tmp_path}"])
    assert not [file for file in (tmp_path / "report").rglob("*") if file.is_file() and b"secret " in file.read_bytes()]


def test_names_in_a_run_are_fit_to_be_shown(store, folder, capsys):
    name = "bit0\x1b]0;owned\x07" + "y" * 400
    for file in ("probes", "populations", "ablations", "codes"):
        table = pd.read_parquet(folder / f"{file}.parquet")
        table.replace({"bit0": name}).to_parquet(folder / f"{file}.parquet")
    info = json.loads((folder / "run.json").read_text())
    rewrite(folder, **{key: {name: info[key]["bit0"], "bit1": info[key]["bit1"]} for key in ("scores", "learned")})
    seal(folder)
    run = load_run(folder)
    shown = {*run.probes["signal"], *run.info["scores"], *run.ablations["target"]}
    assert all(one.isprintable() and len(one) <= 300 for one in shown) and len(shown) >= 2
    assert main(["report", f"outputs={store}"]) == 0 and main(["runs", f"outputs={store}"]) == 0
    said = capsys.readouterr()
    page = (store / "report" / "index.html").read_text()
    for text in (said.out, said.err, page):
        assert "\x1b" not in text and "\x07" not in text and "y" * 301 not in text
    assert "bit0\\x1b]0;owned" in page


@pytest.mark.parametrize("path", ["/dev/zero", "/proc/self/mem", "/dev/stdin"])
def test_devices_are_no_files(path):
    with pytest.raises(DamagedError):
        read_regular(Path(path), 1000)


def test_a_file_that_nobody_wrote_is_not_read(tmp_path):
    (tmp_path / "extra.parquet").write_bytes(b"whatever")
    with pytest.raises(DamagedError, match="it is not among the files that were written"):
        read_told(tmp_path, "extra.parquet", {"run.json": {"bytes": 8, "sha256": ""}})
    assert read_told(tmp_path, "extra.parquet", None) == b"whatever"
