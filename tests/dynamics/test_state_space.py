"""Principal components of states, against scikit-learn's."""

import numpy as np
import torch
from sklearn.decomposition import PCA

import lstm_probe as lp
from lstm_probe.dynamics.state_space import COLUMNS
from tests.handmade import flipflops


def test_coordinates_are_those_of_the_principal_components_of_real_states():
    model = flipflops(2, 4, seed=1).eval()
    task = lp.get_task("flipflop", bits=2, length=15, min_length=6)
    batch = task.sample(40, 0)
    table = lp.state_space(model, batch, sequences=3, run="r", task="t")
    assert list(table.columns) == list(COLUMNS) and (table["run"] == "r").all()
    rec = lp.record(model, batch.inputs, lengths=batch.lengths)
    states = torch.cat([rec.h, rec.c], dim=-1).double()
    pca = PCA(2).fit(states[rec.mask].numpy())
    assert np.allclose(pca.explained_variance_ratio_, table[["x_share", "y_share"]].iloc[0])
    paths = table[table["kind"] == "path"]
    assert paths.groupby("number").size().tolist() == batch.lengths[:3].tolist()
    points = lp.fixed_points(model, batch)
    at = np.array([[*h, *c] for h, c in zip(points["h"], points["c"])])
    for own, values in ((paths, states[:3][rec.mask[:3]].numpy()), (table[table["kind"] != "path"], at)):
        expected = pca.transform(values)
        for name, theirs in zip("xy", expected.T):
            assert np.allclose(np.abs(own[name]), np.abs(theirs), atol=1e-9)
            assert abs(np.corrcoef(own[name], theirs)[0, 1]) > 1 - 1e-9
    assert table[table["kind"] != "path"]["number"].tolist() == points["point"].tolist()


def test_a_state_of_one_number_has_one_component():
    module = torch.nn.RNN(1, 1, batch_first=True)
    batch = lp.get_task("flipflop", bits=1, length=8).sample(20, 0)
    table = lp.state_space(module, batch, sequences=2)
    assert (table["y"] == 0).all() and (table["x_share"] == 1).all() and (table["y_share"] == 0).all()


def test_without_a_fixed_point_there_are_the_paths():
    """A counter that is given an event at every step moves on for ever."""
    net = lp.planted.counter()
    batch = net.sample(20, 10)
    table = lp.state_space(net.model, batch, inputs=[1.0, 0.0], sequences=2)
    assert set(table["kind"]) == {"path"} and len(table) == 20 and (table["signals"] == "").all()
