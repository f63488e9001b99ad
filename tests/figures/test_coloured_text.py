"""The coloured text: every character in its cell, on the colour of its value."""

import pandas as pd
import pytest
import torch
from matplotlib.collections import QuadMesh
from matplotlib.patches import PathPatch

from lstm_probe.figures.coloured_text import WIDTH, coloured_text, letters, rows_of
from lstm_probe.figures.saving import save
from lstm_probe.runs.coloured import COLOURED_TEXT_COLUMNS, best_units


def table(texts):
    rows = [
        (f"unit {k}", step, character, ((step * 7 + k) % 21 - 10) / 10)
        for k, text in enumerate(texts)
        for step, character in enumerate(text)
    ]
    return pd.DataFrame(rows, columns=list(COLOURED_TEXT_COLUMNS))


TEXT = "def f(x):\n\treturn '$x$' + \"语\"\n\n" + "y = 1  # " + "long " * 40 + "\nend"


def drawn_cells(axes):
    """The (row, column) of every outline's points, by the patch that holds all letters."""
    patch = next(p for p in axes.patches if isinstance(p, PathPatch))
    points = patch.get_path().vertices
    return {(int(y), int(x)) for x, y in points}


def test_every_character_has_its_cell_and_colour():
    drawn = table([TEXT, TEXT])
    figure = coloured_text(drawn)
    panels = [axes for axes in figure.axes if axes.patches]
    assert [axes.get_title(loc="left") for axes in panels] == ["unit 0", "unit 1"]
    lines = [TEXT[a:b] for a, b in rows_of(list(TEXT))]
    cells = [(row, column) for row, line in enumerate(lines) for column in range(len(line))]
    for k, axes in enumerate(panels):
        mesh = next(c for c in axes.collections if isinstance(c, QuadMesh))
        grid = mesh.get_array().reshape(-1, WIDTH)
        own = drawn[drawn["panel"] == f"unit {k}"]["value"].tolist()
        assert [grid[cell] for cell in cells] == pytest.approx(own) and grid.count() == len(TEXT)
        assert mesh.get_clim() == (-1, 1)
        assert drawn_cells(axes) == {cell for cell, c in zip(cells, TEXT) if c != " "}
    assert "tanh(c)" in [text.get_text() for text in figure.texts]


def test_no_letter_drifts_out_of_its_cell():
    outlines = letters(["x" * WIDTH, "", "Wg$" * 20])
    assert {(int(y), int(x)) for x, y in outlines.vertices} == {
        *((0, k) for k in range(WIDTH)),
        *((2, k) for k in range(60)),
    }


@pytest.mark.parametrize("text", ["a", "\n", " "])
def test_the_smallest_texts(text):
    assert coloured_text(table([text])).axes


def test_rows_end_at_line_ends_and_are_never_too_long(rng):
    for _ in range(30):
        codes = torch.randint(0, 6, (int(torch.randint(1, 60, (1,), generator=rng)),), generator=rng).tolist()
        text = ["\n" if code == 0 else "x" for code in codes]
        pieces = [text[a:b] for a, b in rows_of(text, 7)]
        assert [character for piece in pieces for character in piece] == text
        assert all(0 < len(piece) <= 7 and "\n" not in piece[:-1] for piece in pieces)


def test_the_same_table_gives_the_same_bytes(tmp_path):
    files = [save(coloured_text(table(["a\nb", "ab"])), tmp_path / str(k)) for k in range(2)]
    for one, other in zip(*files):
        assert one.read_bytes() == other.read_bytes()


def test_the_best_units_with_all_that_they_track_best():
    rows = [
        ("c", 0, 3, "in_string", "latent", "auroc", 0.9, 0.8, True),
        ("c", 0, 3, "in_comment", "latent", "auroc", 0.88, 0.76, True),
        ("c", 0, 5, "in_comment", "latent", "auroc", 0.8, 0.6, True),
        ("c", 0, 7, "column", "latent", "r2", 0.65, 0.65, True),
        ("c", 0, 8, "brackets", "latent", "r2", 0.2, 0.2, False),
        ("c", 0, 9, "step", "nuisance", "r2", 0.99, 0.99, True),
        ("h", 0, 2, "column", "latent", "r2", 0.95, 0.95, True),
    ]
    columns = ["variable", "lag", "unit", "signal", "role", "metric", "score", "effect", "tracks"]
    probes = pd.DataFrame(rows, columns=columns).assign(layer=0, direction="forward")
    best = best_units(probes, 5)
    assert best["unit"].tolist() == [3, 7]
    assert best["says"].tolist() == ["in_string (AUROC 0.90), in_comment (AUROC 0.88)", "column (R² 0.65)"]
    assert best_units(probes, 1)["unit"].tolist() == [3]
    assert best_units(probes.assign(tracks=False), 5).empty
