"""The list of analyses: every entry is whole, and everything that loops over the list knows each of them."""

import inspect
from dataclasses import asdict, fields

import numpy as np
import pandas as pd
import pytest

import lstm_probe as lp
from lstm_probe.core.fields import default_of
from lstm_probe.runs.analyses import ANALYSES, FURTHER, LIST, columns, own_settings
from lstm_probe.runs.analysis import resolve
from lstm_probe.runs.measure import Subject, measure
from lstm_probe.runs.settings import COMMANDS, AblateSettings, DynamicsSettings, ProbeSettings, complete, that_decide
from tests.handmade import flipflops

CLASSES = {"probe": ProbeSettings, "ablate": AblateSettings, "dynamics": DynamicsSettings}
NAMES = list(ANALYSES)


@pytest.fixture(scope="module")
def tables():
    """Every analysis of a small network that solves its task."""
    task = lp.get_task("flipflop", bits=2, length=14)
    model = flipflops(2, 3, 2, seed=1).eval()
    few = {
        "sequences": 24, "permutations": 99, "bootstrap": 20, "untrained": 2, "rotations": 19, "folds": 3, "most": 3,
        "steps": 3, "event": "input.0",
    }  # fmt: skip
    before = flipflops(2, 3, 2, seed=0).eval()
    made = {}
    for command in COMMANDS:
        settings = complete(command, few)
        subject = Subject(model, task, command, settings, 5, "r", lambda: {0: before, 9: model})
        made |= measure(subject, [analysis.name for analysis in LIST if analysis.command == command])
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_table_has_the_columns_that_are_declared(tables, name):
    analysis = ANALYSES[name]
    assert list(tables[name].columns) == list(analysis.columns) and len(tables[name])
    assert (tables[name]["run"] == "r").all() and (tables[name]["seed"] == 5).all()
    for column, meaning in analysis.columns.items():
        assert len(meaning) > 8 and meaning.endswith(".") and "\n" not in meaning, (column, meaning)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_fits_its_function(name):
    analysis = ANALYSES[name]
    function, keys = resolve(analysis.function), set(complete(analysis.command, {}))
    known = inspect.signature(function).parameters
    free = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
    assert set(analysis.takes) <= keys and (free or set(analysis.takes) <= set(known))
    assert set(analysis.also(complete(analysis.command, {}))) <= set(known) or free
    assert analysis.says and not analysis.says.endswith(".")
    for named in (analysis.figure, analysis.drawn, analysis.card, analysis.card_end, analysis.words, analysis.page,
                  analysis.shown):  # fmt: skip
        assert named is None or callable(resolve(named))
    assert (analysis.figure is None) == (analysis.caption == "")
    assert analysis.figure is None or analysis.shown is not None or analysis.page is not None  # for an alternative text


@pytest.mark.parametrize("name", NAMES)
def test_figures_and_small_tables_are_made_of_the_table(tables, name):
    analysis = ANALYSES[name]
    if analysis.figure is not None:
        rows = tables[name] if analysis.drawn is None else resolve(analysis.drawn)(tables[name])
        assert not len(rows) or len(resolve(analysis.figure)(rows).axes)
    if analysis.page is not None:
        small = resolve(analysis.page)(tables[name])
        assert isinstance(small, pd.DataFrame) and len(small) <= len(tables[name])
        assert len(small) or name in ("modes", "learning")  # only where modes disagree, where units track
    if analysis.words is not None:
        assert all(line.endswith(".") for line in resolve(analysis.words)(tables[name]))


def test_every_setting_is_a_configuration_key_with_a_meaning():
    for command, made in CLASSES.items():
        keys = {f.name: f for f in fields(made)}
        assert asdict(made()) == complete(command, {})
        assert set(own_settings(command)) < set(keys)
        for analysis in LIST:
            if analysis.command == command:
                assert set(analysis.takes) | set(analysis.settings) <= set(keys)
        assert all(f.metadata["help"] for f in keys.values())
        assert set(default_of(keys["analyses"])) == {a.name for a in LIST if a.command == command and a.default}


def test_an_added_analysis_changes_no_identity():
    settings = asdict(ProbeSettings())
    decisive = that_decide("probe", settings)
    assert not set(own_settings("probe")) & set(decisive) and "analyses" not in decisive
    assert that_decide("probe", {**settings, "steps": 7}) == {**decisive, "steps": 7}
    assert complete("probe", decisive) == settings


def test_columns_are_told_by_the_tables_name():
    for name in (*ANALYSES, *FURTHER):
        assert columns(name) and lp.columns(name) is not None
    assert "clamped" in lp.columns("ablations") and "tracks_curved" in lp.columns("probes")
    with pytest.raises(lp.InputError, match=r"columns: probs: no such table\. Did you mean 'probes'\?"):
        lp.columns("probs")


@pytest.mark.parametrize(("name", "why"), [
    ("clusters", "none of the signals is binary or categorical"), ("conjunctions", "needs two signals"),
])  # fmt: skip
def test_what_the_data_have_nothing_for_is_said_not_to_be_measured(name, why, tmp_path, caplog):
    """A table of one number to predict from another: no conditions to cluster units by, and no two signals to pair."""
    values = np.random.default_rng(0).normal(size=(30, 8)).cumsum(1).ravel()
    table = pd.DataFrame({"sequence": np.repeat(range(30), 8), "x_a": np.diff(values, prepend=0), "y_b": values})
    table.to_csv(tmp_path / "data.csv", index=False)
    task = lp.get_task("table", path=str(tmp_path / "data.csv"))
    model = lp.SequenceModel(task.n_inputs, task.n_outputs, 3).eval()
    few = {"sequences": 24, "permutations": 99, "bootstrap": 10, "untrained": 2, "rotations": 19, "folds": 3}
    made = measure(Subject(model, task, "probe", complete("probe", few), 5, "r", dict), ["probes", name])
    assert len(made["probes"]) and made[name].empty and why in made[name].attrs["not_measured"]
    assert any(line.startswith(f"{name}: not measured: ") for line in caplog.messages)
