"""The anatomy's figure: nothing overlaps or is cut, for every size; the numbers and highlights are right."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from lstm_probe.core.anatomy import Anatomy
from lstm_probe.core.errors import InputError
from lstm_probe.figures.anatomy import anatomy_figure, shown_units
from lstm_probe.figures.saving import save
from lstm_probe.figures.sketch import GATES


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text().strip()]


def check_layout(figure: Figure) -> None:
    """No text is cut off by the figure's edge, and no two overlap by more than half a pixel."""
    figure.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    for name, box in boxes:
        assert box.x0 > 4 and box.y0 > 4, name
        assert box.x1 < figure.bbox.width - 4 and box.y1 < figure.bbox.height - 4, name
    for (name, a), (other, b) in combinations(boxes, 2):
        wide, tall = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide < 0.5 or tall < 0.5, (name, other)


@pytest.mark.parametrize(
    ("anatomy", "unit"),
    [
        (Anatomy(1, 1), 0),
        (Anatomy(2, 8), 1),
        (Anatomy(2, 8, projection=1), 0),
        (Anatomy(7, 8), 3),
        (Anatomy(8, 9), 4),
        (Anatomy(32, 8), 5),
        (Anatomy(32, 8, layers=2, projection=8), 31),
        (Anatomy(1024, 700), 500),
        (Anatomy(4096, 1_000_000, layers=16, projection=4095), 4095),
    ],
)
def test_nothing_overlaps_or_is_cut(anatomy: Anatomy, unit: int) -> None:
    check_layout(anatomy_figure(anatomy, unit=unit))


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 4096), st.integers(1, 1_000_000), st.data())
def test_nothing_overlaps_at_any_size(units: int, inputs: int, data: st.DataObject) -> None:
    projection, unit = data.draw(st.integers(0, units - 1)), data.draw(st.integers(0, units - 1))
    check_layout(anatomy_figure(Anatomy(units, inputs, data.draw(st.integers(1, 16)), projection), unit=unit))


def test_says_the_chosen_numbers() -> None:
    said = {text.get_text() for text in texts(anatomy_figure(Anatomy(32, 8), unit=5))}
    assert {"x[t]: 8 inputs", "h[t-1]: 32 outputs", "128 × 8", "128 × 32", "(sequence, time, 32)"} <= said
    assert {"row 5", "row 37", "row 69", "row 101"} <= said
    assert "Unit 5 alone: 4 × (8 + 32 + 2) = 168 numbers." in said
    assert any("5,376 in PyTorch" in text and "128 fewer" in text for text in said)


def test_projection_shortens_h_alone() -> None:
    said = [text.get_text() for text in texts(anatomy_figure(Anatomy(32, 8, projection=4), unit=5))]
    assert {"128 × 4", "4 × 32", "(sequence, time, 32)", "(sequence, time, 4)"} <= set(said)
    assert "Unit 5 alone: 4 × (8 + 4 + 2) + 4 = 60 numbers." in said


@pytest.mark.parametrize("unit", [0, 5, 31])
def test_highlighted_rows_lie_where_the_unit_is(unit: int) -> None:
    """Each gate's block is pale, the unit's row in it is not; both are rectangles of the gate's colour."""
    figure = anatomy_figure(Anatomy(32, 8), unit=unit)
    rectangles = [patch for patch in figure.axes[2].patches if isinstance(patch, Rectangle)]
    for colour in GATES.values():
        drawn = [p for p in rectangles if to_hex(p.get_facecolor()) == colour]
        blocks = [p for p in drawn if p.get_alpha() == 0.2]
        rows = [p for p in drawn if p.get_alpha() == 1.0]
        assert len(blocks) == len(rows) == 4  # from x, from h, and two biases
        for block, row in zip(blocks, rows):
            middle = row.get_y() + row.get_height() / 2
            share = (block.get_y() + block.get_height() - middle) / block.get_height()
            assert share == pytest.approx((unit + 0.5) / 32, abs=0.02)
            assert (row.get_x(), row.get_width()) == (block.get_x(), block.get_width())


@settings(deadline=None)
@given(st.integers(1, 5000), st.data())
def test_shown_units(n: int, data: st.DataObject) -> None:
    chosen = data.draw(st.integers(0, n - 1))
    shown = shown_units(n, chosen)
    numbers = [number for number in shown if number is not None]
    assert len(shown) <= 9
    assert numbers == sorted(set(numbers))
    assert {0, chosen, n - 1} <= set(numbers) <= set(range(n))
    for k, number in enumerate(shown):  # an ellipsis stands for two units or more
        if number is None:
            assert shown[k + 1] - shown[k - 1] > 2
        elif k and shown[k - 1] is not None:
            assert number == shown[k - 1] + 1


def test_same_bytes_each_time(tmp_path) -> None:
    first, second = (save(anatomy_figure(Anatomy(4, 3), unit=2), tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_unit_out_of_range() -> None:
    with pytest.raises(InputError, match="unit=4"):
        anatomy_figure(Anatomy(4, 3), unit=4)
