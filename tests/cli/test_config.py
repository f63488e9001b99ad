"""Schemas, their checks, and every file under conf/."""

from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from lstm_probe.cli import main
from lstm_probe.cli.config import (
    SCHEMAS,
    ProbeConfig,
    TrainConfig,
    get_key,
    keys_of,
    set_key,
)
from lstm_probe.cli.launch import register_schemas
from lstm_probe.cli.overrides import check, read_preset
from lstm_probe.cli.validation import validate
from lstm_probe.core.errors import InputError
from lstm_probe.core.fields import REQUIRED, base_type, default_of
from lstm_probe.core.files import configuration_folder
from lstm_probe.runs.analyses import own_settings
from lstm_probe.runs.settings import ProbeSettings
from lstm_probe.runs.store import result_config
from lstm_probe.tasks import TASKS, complete_task

CONF = configuration_folder()
RECIPES = sorted(path.stem for path in (CONF / "recipe").glob("*.yaml"))
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


def composed(command: str, *overrides: str):
    register_schemas(*SCHEMAS)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_object(compose(command, list(overrides)))


@pytest.mark.parametrize("command", SCHEMAS)
def test_every_command_composes_to_its_own_defaults(command):
    required = [key for key, f in keys_of(SCHEMAS[command]) if default_of(f) == REQUIRED]
    config = composed(command, *(f"{key}=somewhere" for key in required))
    assert type(config) is SCHEMAS[command]
    assert validate(config) == []
    for key, f in keys_of(SCHEMAS[command]):
        default = complete_task(default_of(f)) if key == "task" else default_of(f)
        assert get_key(config, key) == ("somewhere" if key in required else default)


def test_there_is_a_file_for_each_command_task_and_nothing_else():
    assert {path.stem for path in CONF.glob("*.yaml")} == {*SCHEMAS, "common"}
    assert {path.stem for path in (CONF / "task").glob("*.yaml")} == set(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_task_files_say_what_the_classes_say(name):
    task = composed("train", f"task={name}").task
    assert task == {"name": name, **{f.name: default_of(f) for f in fields(TASKS[name])}}
    assert list(task) == ["name", *(f.name for f in fields(TASKS[name]))]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments_compose_and_are_valid(name):
    config = composed("train", f"experiment={name}")
    assert validate(config) == []
    check("train", [f"experiment={name}"], multirun=False, folders=[CONF])
    assert config != composed("train") or read_preset(name, [CONF], [])[1] == "MULTIRUN"


def test_an_own_key_wins_over_an_experiment():
    assert composed("train", "experiment=quick").units == 4
    assert composed("train", "experiment=quick", "units=6").units == 6


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_how_its_task_is_trained(name):
    recipe = OmegaConf.to_container(OmegaConf.load(CONF / "recipe" / f"{name}.yaml"))
    config = composed("train", f"task={name}")
    assert validate(config) == []
    assert set(recipe) <= {f.name for f in fields(TrainConfig)} - {"task"}
    assert config == replace(TrainConfig(), task=config.task, **recipe)
    assert asdict(TrainConfig()) | recipe != asdict(TrainConfig())  # else it would be no recipe
    assert composed("train", f"task={name}", "lr=0.5", "steps=7").lr == 0.5
    assert composed("train", "experiment=quick", f"task={name}").steps == composed("train", "experiment=quick").steps
    assert composed("import", "path=somewhere", f"task={name}").task == config.task


def test_only_tasks_have_recipes():
    assert set(RECIPES) <= set(TASKS)
    assert problems_of("train", "recipe=python_source")[0].startswith("recipe=python_source: no such key.")


@pytest.mark.parametrize("command", SCHEMAS)
def test_every_key_has_a_meaning_and_every_number_a_range(command):
    for key, f in keys_of(SCHEMAS[command]):
        assert f.metadata["help"], key
        if key != "task" and base_type(f)[0] in (int, float):
            assert f.metadata["low"] is not None, key
            assert f.metadata["high"] is not None, key


@pytest.mark.parametrize("command", SCHEMAS)
def test_the_ends_of_every_range_are_legal_and_beyond_is_not(command):
    for key, f in keys_of(SCHEMAS[command]):
        if key == "task" or base_type(f)[0] not in (int, float):
            continue
        step = 1 if base_type(f)[0] is int else 1e-9
        in_list = base_type(f)[1]
        for value, right in ((f.metadata["low"], True), (f.metadata["high"], True),
                             (f.metadata["low"] - step, False), (f.metadata["high"] + 1, False)):  # fmt: skip
            config = SCHEMAS[command]()
            set_key(config, key, [value] if in_list else value)
            own = [line for line in validate(config) if line.startswith(f"{key}=") and " must be a" in line]
            assert (own == []) == right, (key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("units", 4.0), ("units", "4"), ("units", True), ("units", None), ("lr", float("nan")),
     ("lr", float("inf")), ("lr", "fast"), ("stop_when_solved", 1), ("probe.variables", []),
     ("probe.variables", ["c", "c"]), ("probe.variables", "c"), ("probe.variables", ["x"]),
     ("probe.lags", [0.5]), ("ablate.mode", "median"),
     ("outputs", ""), ("device", "gpu"), ("device", "cuda:99")],
)  # fmt: skip
def test_wrong_values_are_named(key, value):
    config = TrainConfig()
    set_key(config, key, value)
    problems = validate(config)
    assert len(problems) == 1
    assert problems[0].startswith(key)


def test_validate_reports_every_problem_at_once():
    config = TrainConfig(units=0, lr=-1.0, task={"name": "flipflop", "bits": 0, "bitz": 3})
    config.probe.folds = 1
    starts = [line.split("=")[0] for line in validate(config)]
    assert sorted(starts) == ["lr", "probe.folds", "task.bits", "task.bitz", "units"]


def test_values_that_do_not_fit_each_other():
    assert validate(TrainConfig(units=8, projection=7)) == []
    assert "projection=8: must be below units=8" in validate(TrainConfig(units=8, projection=8))[0]
    config = TrainConfig()
    config.probe.alpha, config.probe.permutations = 0.01, 98
    assert "at least 99" in validate(config)[0]
    config.probe.permutations = 99
    assert validate(config) == []
    task = {"name": "flipflop", "length": 5, "min_length": 6}
    assert "task.min_length=6: must be at most task.length=5" in validate(TrainConfig(task=task))[0]


def test_a_required_key_is_missed():
    assert validate(ProbeConfig())[0].startswith("run: a value is missing")
    assert validate(ProbeConfig(run="somewhere")) == []


def test_result_config_leaves_out_what_changes_no_result():
    one = TrainConfig(units=8)
    other = TrainConfig(units=8, device="cuda", threads=4, outputs="/elsewhere", force=True,
                        task={"name": "tracking", "length": 50})  # fmt: skip
    assert result_config(one) == result_config(other)
    left_out = {f.name for f in fields(TrainConfig)} - set(result_config(one))
    assert left_out == {
        "device",
        "threads",
        "max_bytes",
        "outputs",
        "force",
        "measure",
        "stack_lrs",
        "checkpoints",
        "stack",
        "cell",
        "dynamics",
    }  # the last four at their defaults
    for change in (
        TrainConfig(units=9),
        TrainConfig(units=8, seed=1),
        TrainConfig(units=8, task={"name": "dyck1"}),
    ):
        assert result_config(change) != result_config(one)
    said = asdict(one.probe) | {"variables": ["h", "c", "i", "f", "g", "o"]}
    assert result_config(one)["probe"].items() <= said.items() and len(result_config(one)["probe"]) >= 12
    # What one analysis brings along belongs to a run only where it is set, so that later analyses change no hash.
    assert set(said) - set(result_config(one)["probe"]) == {"analyses", *own_settings("probe")}
    assert result_config(TrainConfig(probe=ProbeSettings(rotations=99)))["probe"]["rotations"] == 99
    assert result_config(TrainConfig(probe=ProbeSettings(analyses=["probes"]))) == result_config(TrainConfig())


def test_default_lists_are_not_shared():
    one, other = TrainConfig(), TrainConfig()
    one.probe.lags.remove(0)
    assert other.probe.lags == [0]


def problems_of(command: str, *lines: str, multirun: bool = False, folders: tuple[Path, ...] = (CONF,)) -> list[str]:
    try:
        check(command, lines, multirun, folders)
    except InputError as error:
        return list(error.problems)
    return []


@pytest.mark.parametrize(
    "lines",
    [["units=4"], ["probe.variables=[c,h]"], ["lr=1"], ["lr=1e-3"], ["outputs=123"], ["seed=${units}"],
     ["+units=3"], ["probe={folds: 3, lags: [0, 1]}"], ["task=dyck1", "task.max_length=8"],
     ["experiment=null"], ["units=4", "projection=3"], ["hydra/launcher=joblib"], ["outputs='a=b,c'"]],
)  # fmt: skip
def test_legal_overrides(lines):
    assert problems_of("train", *lines) == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["units=abc"], ["units=abc: must be a whole number from 1 to 4096."]),
        (["units=4.0"], ["units=4.0: must be a whole number from 1 to 4096."]),
        (["units=abc", "sed=1"], ["units=abc: must be", "sed=1: no such key. Did you mean 'seed'?"]),
        (["task=trackng"], ["task=trackng: no such task. Did you mean 'tracking'?"]),
        (["experiment=quik"], ["experiment=quik: no such experiment. Did you mean 'quick'?"]),
        (["lr=fast"], ["lr=fast: must be a number from"]),
        (["units"], ["units: a value is missing; write units=<value>."]),
        (["units="], ["units: a value is missing; it must be a whole number"]),
        (["=4"], ["=4: a key is missing"]),
        (["~units"], ["~units: a key cannot be removed"]),
        (["units==4"], ["units==4: must be a whole number"]),
        (["outputs=a=b"], ["outputs=a=b: the value cannot be read; put it in quotes twice"]),
        (["units=2,4"], ["units=2,4: several values need --multirun"]),
        (["probe.variables=h,c"], ["probe.variables=h,c: write the list as probe.variables=[h,c]."]),
        (["hidden_size=4"], ["hidden_size=4: no such key. Did you mean 'units'?"]),
        (["permutations=50"], ["permutations=50: no such key. Did you mean 'probe.permutations'?"]),
        (["ablate=zero"], ["ablate=zero: no such key. Did you mean one of ablate.analyses, ablate.sequences"]),
        (
            ["probe={folds: 1, lag: 2}"],
            ["probe.folds=1: must be", "probe.lag=2: no such key. Did you mean 'probe.lags'?"],
        ),
        (["task.lenght=9"], ["task.lenght=9: tracking has no such parameter. Did you mean 'length'?"]),
        (["task=flipflop", "task.length=9", "task.min_length=10"], ["task.min_length=10: must be at most"]),
        (["task.name=dyck1"], ["task.name=dyck1: choose the task by task=dyck1."]),
        (["units=4", "units=8"], ["units: given 2 times"]),
        (["units=4", "projection=4"], ["projection=4: must be below units=4"]),
        (["probe.alpha=0.01", "probe.permutations=50"], ["probe.permutations=50: with probe.alpha=0.01"]),
    ],
)
def test_wrong_overrides(lines, said):
    problems = problems_of("train", *lines)
    assert len(problems) == len(said), problems
    for line, start in zip(problems, said):
        assert line.startswith(start)


def test_names_may_be_meant_by_a_pattern(tmp_path, capsys):
    words = ["train", "--multirun", "steps=2", "units=2", "measure=none", "test_sequences=16", f"outputs={tmp_path}"]
    assert main([*words, "task=glob([par*,dyck?],exclude=*2)", "hydra/launcher=basic"]) == 0
    assert {path.name for path in tmp_path.glob("runs/*")} == {"parity", "dyck1"}
    assert "2 of 2 jobs finished" in capsys.readouterr().out
    assert main(["train", "task=glob(dyck*)"]) == 2
    assert capsys.readouterr().err.startswith("task=dyck,dyck1: several values need --multirun")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("task=glob(zz*)", "task: no task is called so. There are adding, "),
        ("experiment=glob(zz*)", "experiment: no experiment is called so. There are adding, "),
        ("units=range(3,2)", "units=range(3,2): there is no value in it."),
        ("task.length=range(3,2)", "task.length=range(3,2): there is no value in it."),
    ],
)
def test_a_sweep_over_nothing_is_refused(line, said, tmp_path, capsys):
    assert main(["train", "--multirun", line, f"outputs={tmp_path / 'out'}"]) == 2
    assert capsys.readouterr().err.startswith(said)
    assert not (tmp_path / "out").exists()


def test_every_value_of_a_sweep_is_checked():
    assert problems_of("train", "units=2,4", "seed=range(0,3)", "task=glob(*)", multirun=True) == []
    problems = problems_of("train", "units=2,x,0", "lr=choice(0.1,-1)", "task=dyck1,dyck2", multirun=True)
    assert [line.partition(":")[0] for line in problems] == ["units=x", "units=0", "lr=-1", "task=dyck2"]
    problems = problems_of("train", "units=2,8", "projection=0,4", multirun=True)
    assert problems == ["projection=4: must be below units=2; 0 means no projection."]
    problems = problems_of("train", "task=flipflop,tracking", "task.length=9", "task.cap=2", multirun=True)
    assert len(problems) == 1
    assert problems[0].startswith("task.cap=2: flipflop has no such parameter.")


def test_presets_of_the_users_own_are_checked_too(tmp_path):
    for group, name, content in (
        ("task", "short", "name: tracking\nlength: 10\n"),
        ("task", "wrong", "name: tracking\nlength: 1\n"),
        ("experiment", "good", "units: 3\nhydra: {sweeper: {params: {seed: '0,1'}}, mode: MULTIRUN}\n"),
        (
            "experiment",
            "bad",
            "unts: 3\nlr: 100\nhydra: {sweeper: {params: {units: '2,x'}}, mode: MULTIRUN}\n",
        ),
        ("experiment", "broken", "units: [3\n"),
    ):
        (tmp_path / group).mkdir(exist_ok=True)
        (tmp_path / group / f"{name}.yaml").write_text(
            f"# @package _global_\n{content}" if group != "task" else content
        )

    def said(*lines):
        return problems_of("train", *lines, folders=(CONF, tmp_path))

    assert said("task=short", "task.cap=3") == []
    assert [line.partition(":")[0] for line in said("task=wrong")] == ["task.length=1"]
    assert said("experiment=good", "lr=0.1,0.2") == []
    bad = said("experiment=bad", "lr=0.1")
    assert [line.partition(":")[0] for line in bad] == ["unts=3", "units=x"]
    assert all(str(tmp_path) in line for line in bad)
    assert "cannot be read" in said("experiment=broken")[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("units: 3\nunits: 4", "cannot be read: found duplicate key units, in line 3"),
        ("units: [3", "cannot be read: expected ',' or ']', but got '<stream end>', in line 3"),
        ("hydra: 3", "hydra: 3: must hold keys and values."),
        ("hydra: {sweeper: [1]}", "sweeper: [1]: must hold keys and values."),
        ("hydra: {sweeper: {params: x}}", "params: x: must hold keys and values."),
        ("defaults: 3", "defaults: 3: must be a list, as in - override /task: parity."),
        ("defaults: [3]", "defaults: [3]: must be a list, as in - override /task: parity."),
        ("task: parity", "task: parity: its parameters stand there; a preset chooses its task under defaults, as in"),
        ("probe.lags: [1]", "probe.lags: no key has a dot in a file; write probe: {lags: ...}."),
    ],
)
def test_what_is_wrong_with_the_form_of_a_preset_is_said(content, said, tmp_path, capsys):
    file = tmp_path / "experiment" / "mine.yaml"
    file.parent.mkdir()
    file.write_text(f"# @package _global_\n{content}\n")
    assert main(["train", "--config-dir", str(tmp_path), "experiment=mine", f"outputs={tmp_path / 'out'}"]) == 2
    assert capsys.readouterr().err.startswith(f"{file}: {said}")
    assert not (tmp_path / "out").exists()


def test_a_required_key_is_asked_for_before_anything_runs():
    assert problems_of("ablate")[0].startswith("run: a value is missing; write run=")
    assert problems_of("ablate", "run=somewhere") == []
    check("ablate", [], multirun=False, folders=[CONF], to_run=False)
