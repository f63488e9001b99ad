"""Every public figure at the widths and in the styles that people print: all of it is there, and can be read."""

import pytest

from lstm_probe import figures
from tests.figures.every import EVERY, SIZES
from tests.figures.made import check_figure

LOOKS = {
    "paper column": ({"style": "paper", "width": "column"}, 3.5),
    "paper page": ({"style": "paper", "width": "page"}, 7.2),
    "talk page": ({"style": "talk", "width": "page"}, 7.2),
    "notebook": ({}, None),
}
#: A column of a journal's page is so tall, in inches, with a caption below.
TALLEST = 9.2


#: How many units and signals each look is tried with.
CASES = [("one", "paper column"), ("some", "paper column"), ("many", "paper column"), ("many", "paper page"),
         ("some", "talk page"), ("many", "notebook")]  # fmt: skip
#: A diagram of fixed size, which takes its own width.
DIAGRAMS = {"anatomy_figure"}


@pytest.mark.parametrize(("size", "look"), CASES, ids=lambda case: case)
@pytest.mark.parametrize("name", [name for name in figures.__all__ if name not in {"save", *DIAGRAMS}])
def test_it_fits(name, size, look):
    options, width = LOOKS[look]
    figure = EVERY[name](*SIZES[size])(**options)
    check_figure(figure, width)
    if options.get("style") == "paper":
        assert figure.get_figheight() <= TALLEST
