"""The coloured text reaches the page where a run reads text and a unit tracks something in it, and only there."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from lstm_probe.report import drawing
from lstm_probe.runs.coloured import scale_of
from lstm_probe.runs.run import Run

RUN = Run(Path("nowhere"), {})


def test_only_texts_are_coloured(monkeypatch):
    asked = []
    nothing = pd.DataFrame({"character": []})
    monkeypatch.setattr(drawing, "coloured_text_table", lambda run: asked.append(run) or nothing)
    assert drawing._coloured(RUN) is None
    assert asked == [RUN]


def test_a_text_that_is_gone_colours_nothing(monkeypatch):
    def gone(run):
        raise drawing.InputError("task.path: no such file")

    monkeypatch.setattr(drawing, "coloured_text_table", gone)
    assert drawing._coloured(RUN) is None


@pytest.mark.parametrize(("top", "scale"), [(0.5, 1), (1.0, 1), (12.0, 6), (80.0, 40)])
def test_a_counter_keeps_its_differences(top, scale):
    """Whatever the sign and the order, half of what a unit holds is not yet saturated."""
    c = torch.linspace(0, top, 1001).flip(0).reshape(7, 143)
    assert scale_of(c) == scale_of(-c) == scale
    assert (c / scale).tanh().median() < 0.8
