"""A batch's groups reach every analysis of a run."""

import inspect
import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import lstm_probe as lp
from lstm_probe.network.model import SequenceModel
from lstm_probe.runs import measure as measuring
from lstm_probe.runs.analyses import ANALYSES, LIST
from lstm_probe.runs.measure import Subject, measure
from lstm_probe.runs.settings import complete

FEW = {"sequences": 24, "permutations": 99, "bootstrap": 20, "untrained": 2, "rotations": 19, "folds": 5, "most": 3}
OWN = torch.tensor([3, 1, 2, 0] * 6)


def subject_of(groups, command="probe", **settings):
    """A network on a batch of which some sequences belong together."""
    task = lp.get_task("flipflop", bits=2, length=14)
    model = SequenceModel(task.n_inputs, task.n_outputs, 3, 1, seed=1).eval()
    subject = Subject(model, task, command, complete(command, FEW | settings), 5, "r")
    vars(subject)["batch"] = replace(subject.batch, groups=groups)
    return subject


@pytest.mark.parametrize("name", [a.name for a in LIST])
def test_every_analysis_takes_the_groups_of_the_batch(name):
    analysis = replace(ANALYSES[name], sequences=None)  # the batch that has the groups
    subject = subject_of(OWN, analysis.command, **({"steps": 3} if analysis.command == "probe" else {}))
    with pytest.MonkeyPatch.context() as patch:
        seen = []
        function = measuring.resolve(analysis.function)

        def spy(*args, split=None, groups=None, signals=None, **settings):
            seen.append((split, groups))
            return pd.DataFrame()

        spy.__signature__ = inspect.signature(function)
        patch.setattr(measuring, "resolve", lambda _: spy)
        subject.table(analysis)
    split, groups = seen[0]
    takes = spy.__signature__.parameters
    assert ("groups" in takes) or "split" not in takes
    assert groups is None if "groups" not in takes else torch.equal(groups, OWN)
    assert split is None or split.folds == 4


def test_probes_are_those_of_probe_units_with_groups():
    subject = subject_of(OWN)
    (table,) = measure(subject, ["probes"]).values()
    again = lp.probe_units(subject.recording, subject.batch.signals, groups=OWN, folds=5, seed=5, permutations=99,
                           bootstrap=20, untrained=2)  # fmt: skip
    assert table["ci_low"].to_numpy() == pytest.approx(again["ci_low"].to_numpy(), nan_ok=True)
    assert table["p_value"].to_numpy() == pytest.approx(again["p_value"].to_numpy(), nan_ok=True)


def test_one_series_is_said_once_and_can_be_shifted(caplog):
    one = torch.zeros(24, dtype=torch.long)
    with caplog.at_level(logging.WARNING):
        measure(subject_of(one), ["probes", "populations"])
    assert sum("all sequences are of one group" in r.message for r in caplog.records) == 1
    caplog.clear()
    shifted = subject_of(one, null="shift")
    with caplog.at_level(logging.WARNING):
        (table,) = measure(shifted, ["probes"]).values()
    assert (np.diff(shifted.split.fold) >= 0).all() and "one group" not in caplog.text
    assert table["p_value"].min() >= 1 / 13 - 1e-9
