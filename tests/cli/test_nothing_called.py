"""What a configuration names is not called, whether it stands on the command line or in a file."""

import pytest

from lstm_probe.cli import main


@pytest.mark.parametrize(
    "override",
    [
        "+hydra.callbacks.x._target_=os.system", "hydra.callbacks={x:{_target_:os.system}}", "hydra/callbacks=x",
        "+hydra/callbacks=x", "+hydra={callbacks:{x:{_target_:os.system}}}", "hydra.launcher._target_=os.system",
        "hydra.sweeper._target_=os.system", "task.length={_target_:os.system}", "++_target_=os.system",
        "+hydra.job.env_set._target_=os.system", "hydra.launcher={_target_:os.system}",
    ],
)  # fmt: skip
def test_nothing_that_a_command_line_names_is_called(override, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.system", lambda *_: pytest.fail("called"))
    assert main(["train", override]) == 2
    said = capsys.readouterr().err
    assert "not taken; a command runs no code that a configuration names" in said and "Traceback" not in said
    assert not list(tmp_path.iterdir())


HYDRA = "# @package _global_\nhydra:\n"


@pytest.mark.parametrize(
    ("where", "content", "said"),
    [
        ("experiment/x", f"{HYDRA}  callbacks:\n    a:\n      _target_: os.system\n", "hydra.callbacks.a._target_"),
        ("experiment/x", f"{HYDRA}  launcher:\n    _target_: os.system\n", "hydra.launcher._target_"),
        ("experiment/x", f"{HYDRA}  sweeper:\n    _target_: os.system\n", "hydra.sweeper._target_"),
        ("experiment/x", f"{HYDRA}  job_logging:\n    root:\n      (): os.system\n", "hydra.job_logging.root.()"),
        ("experiment/x", f"{HYDRA}  callbacks:\n    a: 1\n", "hydra.callbacks=a"),
        ("experiment/x", "# @package _global_\ndefaults:\n  - override /hydra/launcher: own\n",
         "hydra.launcher._target_=os.system: not taken; choose by hydra/launcher=<name>"),
        ("task/x", "name: tracking\nlength:\n  _target_: os.system\n", "length._target_"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("multirun", [False, True])
def test_nothing_that_a_file_names_is_called(where, content, said, multirun, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.system", lambda *_: pytest.fail("called"))
    file = tmp_path / "mine" / f"{where}.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    launcher = tmp_path / "mine" / "hydra" / "launcher" / "own.yaml"
    launcher.parent.mkdir(parents=True)
    launcher.write_text("_target_: os.system\n")
    choice = where.replace("/", "=")
    assert main(["train", "--config-dir", "mine", choice, *(["--multirun"] if multirun else [])]) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
