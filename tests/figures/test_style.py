"""Files of figures: the same bytes each time, readable anywhere."""

import html
import inspect
import re
import subprocess
import sys
from base64 import b64decode
from io import BytesIO

import pytest
from fontTools.ttLib import TTFont
from matplotlib import rc_context
from matplotlib.image import imread

from lstm_probe import figures
from lstm_probe.core.errors import InputError
from lstm_probe.core.looks import FORMATS
from lstm_probe.figures import learning_curve, memory, save, units_overview
from lstm_probe.figures.style import (
    available_width,
    first_fitting,
    font,
    letters,
    line_styles,
    new_figure,
    shortened,
    styled,
    text_width,
    unit_colours,
    wrapped,
)
from tests.figures.made import drawn_texts, history, random_tables
from tests.figures.test_tuning import remembered


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    tables = random_tables(6, ["count", "latch"])
    first = save(units_overview(*tables), tmp_path / "a" / "figure.v1")
    with rc_context({"font.size": 20, "svg.fonttype": "none"}):
        second = save(units_overview(*tables), tmp_path / "b")
    assert [path.name for path in first] == ["figure.v1.svg", "figure.v1.png"]
    for a, b in zip(first, second):
        assert a.read_bytes() == b.read_bytes()


def test_svg_brings_its_font_and_says_no_time(tmp_path):
    svg, png = save(units_overview(*random_tables(2, ["count<é>"])), tmp_path / "figure")
    text = svg.read_text()
    assert "<dc:date>" not in text and "count&lt;é&gt;" in text
    assert imread(png).shape[2] == 4
    fonts = re.findall(r"font-weight:(\w+);src:url\(data:font/woff;base64,([^)]*)\)", text)
    assert [weight for weight, _ in fonts] == ["normal", "bold"]
    letters = [set(TTFont(BytesIO(b64decode(face))).getBestCmap()) for _, face in fonts]
    assert set(map(ord, "count<é>unit01 ")) <= letters[0] and set(map(ord, "What each unit")) <= letters[1]
    assert ord("z") not in letters[1]
    faces = [TTFont(BytesIO(b64decode(face))) for _, face in fonts]
    for face in faces:  # browsers take no font without these
        assert {"name", "OS/2", "cmap", "head", "hhea", "hmtx", "maxp", "post"} <= set(face.keys())
    wide = [face["hmtx"][face.getBestCmap()[ord("t")]] for face in faces]
    assert wide[0] != wide[1]


def test_a_unit_has_the_same_colour_in_each_figure_of_a_run():
    order = [(0, "forward", unit) for unit in (7, 30, 2, 11)]
    all_of_them = unit_colours(order, order)
    assert unit_colours(order[2:], order) == {unit: all_of_them[unit] for unit in order[2:]}
    assert len(set(all_of_them.values())) == 4
    assert unit_colours([(0, "forward", 9)]) == unit_colours([(0, "forward", 9)], order)


def test_a_unit_has_its_own_colour_in_every_panel_of_what_is_remembered():
    table = remembered(3, ["count", "latch"])
    table.loc[table["signal"] == "latch", "effect"] = table["unit"].map({0: 0.9, 1: 0.1, 2: 0.5})
    order = [(0, "forward", unit) for unit in (2, 0, 1)]
    own = {f"unit {unit}": colour for (*_, unit), colour in unit_colours(order, order).items()}
    for axes in memory(table, order=order).axes:
        assert {text.get_text(): text.get_color() for text in axes.texts if "unit" in text.get_text()} == own


def test_what_stands_behind_a_name_goes_before_its_middle():
    forms = ("ticks (distractor)", "ticks")
    assert first_fitting(forms, 9, 2.0) == "ticks (distractor)" and first_fitting(forms, 9, 0.6) == "ticks"
    assert first_fitting(forms, 9, 0.3) == shortened("ticks", 9, 0.3) != "ticks"


@pytest.mark.parametrize("losses", [[1.7, 0.8], [1.7, 0.11], [1.7, 0.3, 0.01]])
def test_an_axis_of_losses_has_two_numbers_at_least(losses):
    table = history({"count": [0.5] * len(losses)})
    table.loc[table["metric"] == "loss", "value"] = losses
    axes = learning_curve(table).axes[1]
    low, high = axes.get_ylim()
    assert sum(low <= tick <= high for tick in axes.get_yticks()) >= 2


def test_a_long_name_loses_its_middle():
    name = "a_name_that_is_much_too_long"
    short = shortened(name, 9, 0.8)
    assert text_width(short, 9) <= 0.8 < text_width(name, 9) and short.startswith("a_n") and short.endswith("ng")
    assert shortened("short", 9, 0.8) == "short"


def test_files_are_the_same_bytes_in_each_process(tmp_path):
    code = """
import sys
from lstm_probe.figures import save, units_overview
from tests.figures.made import random_tables
save(units_overview(*random_tables(3, ["cöunt", "latch"]), style="paper", width="column"), sys.argv[1],
     formats=("svg", "png", "pdf"), dpi=300)
"""
    for name in "ab":
        subprocess.run([sys.executable, "-c", code, tmp_path / name], check=True)
    for format in ("svg", "png", "pdf"):
        first, second = ((tmp_path / f"{name}.{format}").read_bytes() for name in "ab")
        assert first == second and len(first) > 5000
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"CreationDate" not in pdf and b"/FontFile2" in pdf and b"/Type3" not in pdf
    assert imread(tmp_path / "a.png").shape[1] == 1050


def test_names_that_mean_something_to_others_stay_text(tmp_path):
    """No markup, no formula, no letter lost that the font has not."""
    names = ["<b>&\"'", "🙂 smile", "שלום", "$x^2$ $", "語"]
    files = save(learning_curve(history({name: [0.1, 0.5] for name in names})), tmp_path / "a", formats=FORMATS)
    svg = files[FORMATS.index("svg")].read_text(encoding="utf-8")
    texts = [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]
    assert set(names) <= set(texts) and "<b>" not in svg


def test_a_format_that_there_is_not(tmp_path):
    with pytest.raises(InputError, match=r"formats=svgg: must be among pdf, svg, png\. Did you mean 'svg'"):
        save(new_figure(1, 1), tmp_path / "a", formats=["svgg"])


def drawings():
    """Every public function that draws a figure."""
    return [getattr(figures, name) for name in figures.__all__ if name != "save"]


@pytest.mark.parametrize("draw", drawings(), ids=lambda draw: draw.__name__)
def test_every_figure_takes_a_style_and_a_width(draw):
    own = inspect.signature(draw).parameters
    for name, default in (("style", "notebook"), ("width", None)):
        assert own[name].kind is inspect.Parameter.KEYWORD_ONLY and own[name].default == default
        assert f"\n        {name}: " in draw.__doc__.split("Args:")[1].split("Returns:")[0]
    assert "`style` or `width` is none of these" in draw.__doc__.split("Raises:")[1]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"style": "papr"}, "style=papr: must be one of notebook, paper, talk. Did you mean 'paper'?"),
        ({"width": "colum"}, "width=colum: must be one of column, page, or inches from 3 to 40. Did you mean 'column'"),
        ({"width": 0.5}, "width=0.5: must be"),
        ({"style": "talk", "width": "column"}, "width=column: the letters of style=talk need 5 inches or more."),
        ({"width": float("nan")}, "width=nan: must be"),
    ],
)
def test_a_style_or_a_width_that_there_is_not(asked, said):
    with pytest.raises(InputError, match=re.escape(said)):
        units_overview(*random_tables(2, ["count"]), **asked)


@pytest.mark.parametrize(("width", "inches"), [("column", 3.5), ("page", 7.2), (5.25, 5.25), (4, 4.0), ("6.5", 6.5)])
def test_widths_are_exact(width, inches):
    figure = units_overview(*random_tables(2, ["count"]), style="paper", width=width)
    assert figure.get_figwidth() == inches


def test_ticks_that_come_later_look_like_those_that_were_drawn():
    figure = learning_curve(history({"count": [0.1, 0.9]}), style="talk")
    axes = figure.axes[0]
    with rc_context({"xtick.labelsize": 3, "xtick.color": "red"}):
        axes.set_xlim(0, 1000)
        texts = [text for text in axes.get_xticklabels() if text in drawn_texts(figure)]
    assert len(texts) > 2 and {(text.get_fontsize(), text.get_color()) for text in texts} == {(11.2, "#333333")}


def test_the_sizes_of_letters_by_style():
    @styled
    def draw():
        figure = new_figure(available_width(9.0), 1)
        figure.sizes = [font(size) for size in (10, 8, 7)], letters(1.0)
        return figure

    assert draw().sizes == ([10, 8, 7], 1.0) and draw().get_figwidth() == 9
    assert draw(style="paper", width=5).sizes == ([8, 6.4, 6], 0.8) and draw(width=5).get_figwidth() == 5
    assert draw(style="talk").sizes[0] == [14, 11.2, pytest.approx(9.8)]
    assert font(7) == 7  # nothing is left of a style outside


def test_wrapped_text_fits():
    text = "one line of words that is longer than it may be"
    lines = wrapped(text, 9, 1.2).split("\n")
    assert " ".join(lines) == text and len(lines) > 2
    assert all(text_width(line, 9) <= 1.2 for line in lines)
    assert wrapped("unbreakable", 9, 0.1) == "unbreakable"


def test_text_width_is_that_of_the_drawn_text():
    figure = new_figure(5, 1)
    drawn = figure.text(0, 0, "layer·unit 0.98", size=12, family="DejaVu Sans").get_window_extent()
    assert text_width("x\nlayer·unit 0.98", 12) == pytest.approx(drawn.width / figure.dpi, abs=0.03)


def test_styles_differ_beyond_the_ten_colours():
    styles = line_styles([f"t{k}" for k in range(20)])
    assert len({(str(s["color"]), str(s["linestyle"])) for s in styles.values()}) == 20
