"""The figure of clusters: what stands where, for few units and many, with clusters and without."""

import numpy as np
import pandas as pd
import pytest

from lstm_probe.figures import clusters
from lstm_probe.probing.analyses.clusters import COLUMNS
from tests.figures.made import drawn_texts


def table(units=6, found=True, layers=1, constant=None):
    """Units in turn of cluster 0 and 1, which vary most in the condition of their number."""
    rows = [
        ("", "t", units, 0, layer, "forward", "c", unit, "rule", name, 9, 1.0, 1.0 if k == unit % 2 else 0.1,
         unit % 2, 0.9, 2, 0.91, 0.4, 0.5, 0.01 if found else 0.6, 0.02, found)
        for layer in range(layers) for unit in range(units) for k, name in enumerate(("go", "stop"))
    ]  # fmt: skip
    made = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"cluster": "Int64", "n_clusters": "Int64"})
    made.loc[made["unit"] == constant, ["cluster", "share", "silhouette"]] = None
    return made


def image(figure):
    return next(axes.images[0] for axes in figure.axes if axes.images)


def texts(figure):
    return [text.get_text() for text in drawn_texts(figure)]


def test_units_stand_by_cluster():
    figure = clusters(table())
    assert image(figure).get_array().tolist() == [[1, 1, 1, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 1, 1, 1]]
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "2", "4", "1", "3", "5"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["go", "stop"] and axes.get_ylabel() == "rule"
    told = "random directions 0.40, 95 % below 0.50; p = 0.010; exchanged sequences p = 0.020)"
    assert f"2 clusters (silhouette 0.91; {told}" in texts(figure)
    assert [round(line.get_xdata()[0], 3) for line in axes.lines] == [2.5]


def test_without_clusters_none_are_drawn():
    figure = clusters(table(found=False))
    assert any(text.startswith("no clusters shown (silhouette 0.91") for text in texts(figure))
    assert not figure.axes[0].lines
    nothing = table().assign(mean_silhouette=np.nan, found=False, n_clusters=None, cluster=None)
    assert "too few units that differ to look for clusters" in texts(clusters(nothing))


def test_a_constant_unit_stands_last_and_is_named():
    figure = clusters(table(constant=2))
    assert "constant" in texts(figure)
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()][-1] == "2"
    assert np.ma.getmaskarray(image(figure).get_array())[:, -1].all()


@pytest.mark.parametrize(("units", "layers"), [(100, 1), (3, 2)])
def test_many_units_have_no_numbers_and_each_layer_has_a_panel(units, layers):
    figure = clusters(table(units, layers=layers))
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == layers and all(axes.get_xlabel() == (f"{units} units" if units > 48 else "unit")
                                         for axes in panels)  # fmt: skip
    width, height = figure.get_size_inches()
    for axes in figure.axes:
        box = axes.get_position()
        assert box.x0 >= 0 and box.x1 <= 1 and box.y0 >= 0 and box.y1 <= 1 and width < 12 and height < 6
