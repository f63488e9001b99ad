"""Every figure, of tables without rows, without columns, and of what is no table: drawn, or one sentence."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

import lstm_probe as lp
from lstm_probe import figures
from lstm_probe.core.errors import InputError
from tests.figures import every
from tests.figures.every import EVERY
from tests.figures.made import random_tables


def given_to(name, change, monkeypatch):
    """Draw a figure of an example of which every table is changed."""
    draw = getattr(figures, name)

    def changed(*args, **kwargs):
        def own(one):
            return change(one) if isinstance(one, pd.DataFrame) else one

        return draw(*map(own, args), **{key: own(one) for key, one in kwargs.items()})

    with monkeypatch.context() as patch:
        patch.setattr(every.figures, name, changed)
        return EVERY[name](8, 5)()


CHANGES = {
    "rows": (lambda table: table.iloc[:0], "no rows, so there is nothing to draw"),
    "columns": (lambda table: table.assign(other=1)[["other"]], "this figure's table has such a column; the one given"),
    "table": (lambda table: {"unit": [0]}, "a dict; must be a table"),
}


@pytest.mark.parametrize("lacks", CHANGES)
@pytest.mark.parametrize("name", [name for name in EVERY if name != "anatomy_figure"])
def test_what_a_table_lacks_is_named(name, lacks, monkeypatch):
    change, message = CHANGES[lacks]
    with pytest.raises(InputError) as error:
        given_to(name, change, monkeypatch)
    assert message in str(error.value) and len(error.value.problems) == 1


def test_one_table_of_several_may_have_no_rows():
    probes, ablations = random_tables(8, every.names(5))
    assert isinstance(figures.units_overview(probes, ablations.iloc[:0]), Figure)


def test_a_run_is_no_table():
    for take in (lp.to_latex, figures.memory):
        with pytest.raises(InputError, match="table: a list; must be a table, such as a run has as an attribute"):
            take([1])
