"""A cell of a user's own, in this one file: the minimal gated unit (Zhou and others 2016)."""

import numpy as np
import pytest
import torch
from torch import nn, sigmoid, tanh
from torch.nn.functional import linear

import lstm_probe as lp
from lstm_probe.core.errors import InputError


def step(w, read, state, see):
    h = state["h"]
    units = h.shape[-1]
    read_f, read_n = read.chunk(2, dim=-1)
    f = see("f", sigmoid(read_f + linear(h, w["weight_hh"][:units])))
    n = see("n", tanh(read_n + linear(f * h, w["weight_hh"][units:])))
    return {"h": see("h", (1 - f) * h + f * n)}


VARIABLES = (
    lp.Variable("h", "output and memory in one, (1 - f) · h[t-1] + f · n", "output", -1, 1),
    lp.Variable("f", "forget gate: how much is written over, 0 to 1", "gate", 0, 1),
    lp.Variable("n", "cell input: what would be written, -1 to 1", "input", -1, 1),
)
MGU = lp.Cell(f"{__name__}:MGU", "MGU", VARIABLES, ("f", "n"), step)


class Model(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.rnn = lp.GatedRNN(3, 6, batch_first=True, cell=MGU)
        self.readout = nn.Linear(6, outputs)

    def forward(self, x):
        return self.readout(self.rnn(x)[0])


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model(1).double()


@pytest.fixture
def x():
    return torch.randn(40, 12, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def by_hand(model, x, clamp=None):
    """The paper's equations in a plain loop, with one unit's variable held."""
    w = {name.removesuffix("_l0"): values.numpy() for name, values in model.rnn.state_dict().items()}
    h, steps = np.zeros((len(x), 6)), []

    def held(name, values):
        if clamp is not None and clamp[0] == name:
            values = values.copy()
            values[:, clamp[1]] = clamp[2]
        return values

    for now in x.numpy().swapaxes(0, 1):
        read = now @ w["weight_ih"].T + w["bias_ih"]
        f = held("f", 1 / (1 + np.exp(-(read[:, :6] + h @ w["weight_hh"][:6].T))))
        n = held("n", np.tanh(read[:, 6:] + (f * h) @ w["weight_hh"][6:].T))
        h = held("h", (1 - f) * h + f * n)
        steps.append({"h": h, "f": f, "n": n})
    return {name: np.stack([one[name] for one in steps], 1) for name in steps[0]}


def test_it_is_recorded(model, x):
    rec, told = lp.record(model, x), by_hand(model, x)
    assert rec[0].variables == ("h", "f", "n")
    for name, values in told.items():
        np.testing.assert_allclose(getattr(rec, name).numpy(), values, atol=1e-12)
    assert set(rec.to_frame().columns) >= {"h", "f", "n"}
    assert "forget gate: how much is written over" in rec._repr_html_()


def test_it_is_stored_and_read_where_it_is_known(model, x, tmp_path, monkeypatch):
    stored = lp.record(model, [x[:20], x[20:]], to=tmp_path / "r")
    again = lp.open_recording(tmp_path / "r")
    np.testing.assert_allclose(again.f[:].numpy(), by_hand(model, x)["f"], atol=1e-12)
    assert again.config.cell == MGU and stored.config == again.config
    monkeypatch.delitem(__import__("sys").modules, __name__)
    with pytest.raises(InputError, match="a cell of somebody's own: import"):
        lp.open_recording(tmp_path / "r")


def test_it_is_probed(model, x):
    total = x[..., 0].cumsum(1)
    scores = lp.probe_units(lp.record(model, x), {"total": total}, permutations=19, bootstrap=10, untrained=3)
    assert set(scores["variable"]) == {"h", "f", "n"}
    alone = lp.probe_units(lp.record(model, x), {"total": total}, variables=["c"], permutations=19, bootstrap=10,
                           untrained=3)  # fmt: skip
    assert set(alone["variable"]) == {"h"}  # its memory
    h, y = by_hand(model, x)["h"].reshape(-1, 6), total.numpy().ravel()
    best = max(np.corrcoef(h[:, unit], y)[0, 1] ** 2 for unit in range(6))
    assert abs(alone["score"].max() - best) < 0.15  # held out, so about that


@pytest.mark.parametrize("variable", ["h", "f", "n"])
def test_it_is_clamped(model, x, variable):
    y = x[..., 0].cumsum(1)
    h = torch.from_numpy(by_hand(model, x)["h"])
    with torch.no_grad():  # the readout that tells most
        design = torch.cat([h, torch.ones_like(h[..., :1])], -1).flatten(0, 1)
        line = torch.linalg.lstsq(design, y.flatten().unsqueeze(1)).solution
        model.readout.weight[:], model.readout.bias[:] = line[:-1].T, line[-1]
    batch = lp.Batch.make(x, {"total": y}, targets={"total": y})
    lost = lp.ablate_units(model, batch, variable=variable, mode="mean", bootstrap=10).set_index("unit")
    told = by_hand(model, x)

    def score(h):
        off = ((h @ line[:-1].numpy() + line[-1].numpy())[..., 0] - y.numpy()) ** 2
        return max(0, 1 - off.sum() / ((y - y.mean()) ** 2).sum().item())

    assert score(told["h"]) > 0.1
    for unit in range(6):
        held = by_hand(model, x, (variable, unit, told[variable][..., unit].mean()))
        assert lost.loc[unit, "score_drop"] == pytest.approx(score(told["h"]) - score(held["h"]), abs=1e-6)


def test_it_is_drawn(model, x):
    total = x[..., 0].cumsum(1)
    scores = lp.probe_units(lp.record(model, x), {"total": total}, permutations=19, bootstrap=10, untrained=3)
    batch = lp.Batch.make(x, {"total": total}, targets={"total": total})
    figure = lp.figures.units_overview(scores, lp.ablate_units(model, batch, bootstrap=10), variable="h")
    assert "MGU" not in [text.get_text() for text in figure.texts] and figure.axes


def test_a_cell_that_contradicts_itself_is_refused():
    usual = {"name": "x", "title": "X", "variables": VARIABLES, "blocks": ("f", "n"), "step": step}
    for keywords, message in (
        ({"memory": "c"}, "memory c: must be one of its variables"),
        ({"memory": "f"}, "memory f: must be carried from step to step"),
        ({"state": ("f",)}, "state f: must begin with h"),
        ({"keeps": "z"}, "keeps z: must be one of its variables"),
        ({"variables": (*VARIABLES, VARIABLES[0])}, "each must have a name of its own"),
    ):
        with pytest.raises(InputError, match=message):
            lp.Cell(**{**usual, **keywords})
    with pytest.raises(InputError, match="must be a name"):
        lp.Variable("my gate", "no name", "gate")
