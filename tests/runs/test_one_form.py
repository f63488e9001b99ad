"""What gives one result has one hash, however it is written; what was written as usual keeps the hash that it had."""

from copy import deepcopy
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

import lstm_probe as lp
from lstm_probe.cli import main
from lstm_probe.cli.config import SCHEMAS, keys_of
from lstm_probe.cli.launch import register_schemas
from lstm_probe.core.fields import base_type, in_one_form
from lstm_probe.core.files import configuration_folder
from lstm_probe.network.model import SequenceModel
from lstm_probe.runs.store import config_hash, result_config
from lstm_probe.tasks import complete_task


def composed(*overrides):
    register_schemas("train")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(configuration_folder()), version_base="1.3"):
        return OmegaConf.to_object(compose("train", list(overrides)))


def hash_of(*overrides):
    return config_hash(result_config(composed(*overrides)))


FLOATS = [key for key, f in keys_of(SCHEMAS["train"]) if base_type(f)[:2] == (float, False) and f.metadata["low"] <= 0]


@pytest.mark.parametrize("key", FLOATS)
def test_zero_has_no_sign(key):
    assert hash_of("task=parity", f"{key}=0") == hash_of("task=parity", f"{key}=-0.0")
    assert hash_of("task=parity", f"{key}=0") != hash_of("task=parity", f"{key}=0.125")


@pytest.mark.parametrize(("one", "other"), [
    ("task.distractors=1", "task.distractors=1.0"), ("task.distractors=0", "task.distractors=-0.0"),
    ("dynamics.after=[5,1]", "dynamics.after=[1,5,5]"), ("dynamics.after=[15,1,5]", "seed=0"),
    ("dynamics.scale=[-1,0]", "dynamics.scale=[-1.0,-0.0]"),
])  # fmt: skip
def test_two_ways_to_write_one_thing(one, other):
    assert hash_of("task=delayed_recall", one) == hash_of("task=delayed_recall", other)


@pytest.mark.parametrize(("one", "other"), [
    ("probe.lags=[0,1]", "probe.lags=[1,0]"), ("dynamics.after=[1]", "dynamics.after=[1,5]"),
    ("probe.variables=[c,h]", "probe.variables=[h,c]"), ("dynamics.scale=[-1,1]", "dynamics.scale=[1,-1]"),
])  # fmt: skip
def test_an_order_that_means_something_stays(one, other):
    assert hash_of("task=parity", one) != hash_of("task=parity", other)


PRESETS = [f"{group}={path.stem}" for group in ("experiment", "task")
           for path in sorted((configuration_folder() / group).glob("*.yaml")) if path.stem != "table"]  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_written_as_usual_stays_as_it_is_and_so_its_hash(preset):
    config = composed(preset)
    assert repr(in_one_form(deepcopy(config))) == repr(config)  # it tells 0 from 0.0 and -0.0
    made = lp.get_task(**config.task)
    assert repr(complete_task(config.task)) == repr({"name": config.task["name"], **asdict(made)})


@pytest.fixture(scope="module")
def counter():
    net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=1, seed=0)
    return net.model, net.sample(48, length=20, seed=1)


def rows(table):
    """The rows of a table, in an order that is not that of `after`."""
    plain = [name for name in table if table[name].map(np.isscalar).all()]
    return table[plain].sort_values(plain, kind="stable", na_position="last").reset_index(drop=True)


@pytest.mark.parametrize("made", [
    lambda model, batch, after: lp.patch_units(model, batch, batch.signals, after=after),
    lambda model, batch, after: lp.memory_flow(model, batch, after=after),
    lambda model, batch, after: lp.steer(model, batch, after=after, bootstrap=20),
], ids=["patches", "flow", "steering"])  # fmt: skip
def test_the_order_of_steps_after_changes_nothing_but_the_order_of_rows(made, counter):
    one, other = (rows(made(*counter, after)) for after in ([5, 1], [1, 5]))
    pd.testing.assert_frame_equal(one, other)
    assert len(one)


def test_a_forget_bias_of_zero_has_no_sign_in_the_network():
    models = [SequenceModel(2, 1, 3, seed=0, forget_bias=bias) for bias in (0.0, -0.0)]
    for one, other in zip(*(model.state_dict().values() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_run_of_one_way_to_write_it_is_found_by_the_other(tmp_path, capsys):
    words = ["train", "task=parity", "units=2", "steps=5", "measure=none", f"outputs={tmp_path}"]
    assert main([*words, "forget_bias=-0.0", "dynamics.after=[5,1]"]) == 0
    (folder,) = (tmp_path / "runs" / "parity").iterdir()
    assert lp.load_run(folder).config["forget_bias"] == 0 and "-0" not in (folder / "config.yaml").read_text()
    assert lp.load_run(folder).config["dynamics"]["after"] == [1, 5]
    assert main([*words, "forget_bias=0", "dynamics.after=[1,5]"]) == 0
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "runs" / "parity").iterdir()] == [folder.name]
