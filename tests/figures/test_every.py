"""Every public figure at the widths and in the styles that people print: all of it is there, and can be read."""

import pytest

import lstm_probe as lp
from lstm_probe import figures
from lstm_probe.core.anatomy import Anatomy
from tests.figures.every import EVERY, SIZES
from tests.figures.made import check_figure

LOOKS = {
    "paper column": ({"style": "paper", "width": "column"}, 3.5),
    "paper page": ({"style": "paper", "width": "page"}, 7.2),
    "talk page": ({"style": "talk", "width": "page"}, 7.2),
    "talk": ({"style": "talk", "width": 5}, 5),
    "notebook": ({}, None),
    "notebook column": ({"width": "column"}, 3.5),
}
#: A column of a journal's page is so tall, in inches, with a caption below.
TALLEST = 9.2


#: How many units and signals each look is tried with.
CASES = [("one", "paper column"), ("some", "paper column"), ("many", "paper column"), ("many", "paper page"),
         ("some", "talk page"), ("many", "notebook"), ("one", "talk"), ("some", "notebook column"),
         ("many", "notebook column")]  # fmt: skip
#: A diagram of fixed size, which refuses to be narrower.
DIAGRAMS = {"anatomy_figure"}


@pytest.mark.parametrize(("size", "look"), CASES, ids=lambda case: case)
@pytest.mark.parametrize("name", [name for name in figures.__all__ if name not in {"save", *DIAGRAMS}])
def test_it_fits(name, size, look):
    options, width = LOOKS[look]
    figure = EVERY[name](*SIZES[size])(**options)
    check_figure(figure, width)
    if options.get("style") == "paper":
        assert figure.get_figheight() <= TALLEST


@pytest.mark.parametrize("width", ["column", "page", 12.9])
def test_the_anatomy_is_not_drawn_where_its_letters_could_not_be_read(width):
    with pytest.raises(lp.InputError, match="can be read from 13 inches on"):
        figures.anatomy_figure(Anatomy(inputs=3, units=4), style="paper", width=width)
    assert figures.anatomy_figure(Anatomy(inputs=3, units=4), width=13).get_figwidth() == 13
