"""Weights that a module makes of others: AWD-LSTM's raw ones, norms, pruning; against the module itself."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights

WEIGHTS = ("weight_hh_l0", "weight_ih_l0")


class Net(nn.Module):
    def __init__(self, lstm):
        super().__init__()
        self.encoder, self.lstm, self.fc = nn.Embedding(9, 4), lstm, nn.Linear(6, 3)


class Wrapped(nn.Module):
    """As fastai's WeightDropout: the raw weight is the wrapper's, a copy with dropout is put into the layer."""

    def __init__(self, lstm, names):
        super().__init__()
        self.module = lstm
        for name in names:
            self.register_parameter(f"{name}_raw", nn.Parameter(getattr(lstm, name).detach().clone()))


def lstm(seed=0, **kwargs):
    torch.manual_seed(seed)
    return nn.LSTM(4, 6, **kwargs)


def same_h(got, module, seed=0):
    x = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(seed))
    module.eval()
    with torch.no_grad():
        want = module(x.transpose(0, 1))[0].transpose(0, 1)
        torch.testing.assert_close(got.lstm(x)[0], want, atol=1e-5, rtol=0)


@pytest.mark.parametrize("copies", ["dropped", "none", "some"])
@pytest.mark.parametrize("names", [WEIGHTS[:1], WEIGHTS])
def test_awd_lstms_raw_weights_are_the_weights(tmp_path, copies, names):
    plain = lstm()
    state = Net(Wrapped(plain, names)).state_dict()
    for k, name in enumerate(names):
        if copies == "none" or (copies == "some" and k):
            del state[f"lstm.module.{name}"]
        else:
            state[f"lstm.module.{name}"] = nn.functional.dropout(state[f"lstm.module.{name}"], 0.5)
    torch.save(state, tmp_path / "m.pth")
    got = load_weights(tmp_path / "m.pth")
    same_h(got, plain)
    for name in names:
        assert f"lstm.module.{name}: read from its _raw, to which dropout is applied in training alone" in got.notes


def test_raw_weights_beside_the_others_and_of_upper_layers(tmp_path):
    plain = lstm(num_layers=2, bidirectional=True)
    state = plain.state_dict()
    for name in [name for name in state if "weight_hh" in name]:
        state[f"{name}_raw"] = state.pop(name)
    torch.save({f"rnns.0.module.{k}": v for k, v in state.items()}, tmp_path / "m.pth")
    same_h(load_weights(tmp_path / "m.pth"), plain)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", ["old", "new", "new, other axis", "spectral", "pruned", "pruned at random"])
def test_norms_and_masks(tmp_path, make):
    module = lstm(1)
    for name in WEIGHTS:
        if make == "old":
            nn.utils.weight_norm(module, name)
        elif make.startswith("new"):
            parametrizations.weight_norm(module, name, dim=1 if "axis" in make else 0)
        elif make == "spectral":
            parametrizations.spectral_norm(module, name)
        elif make == "pruned":
            prune.l1_unstructured(module, name, 0.3)
        else:
            prune.random_structured(module, name, 0.3, dim=0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    module.eval()
    torch.save(module.state_dict(), tmp_path / "m.pt")
    got = load_weights(tmp_path / "m.pt")
    # The old ones make the weight as the module is called, the others whenever it is asked for.
    if make in ("old", "pruned", "pruned at random"):
        for hook in module._forward_pre_hooks.values():
            hook(module, None)
    want = {name: getattr(module, name).detach() for name in WEIGHTS}
    for name in WEIGHTS:
        torch.testing.assert_close(got.lstm.get_parameter(name).detach(), want[name], atol=1e-6, rtol=1e-6)
        assert any(note.startswith(f"{name}: ") for note in got.notes)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dim", [None, 0, 1])
def test_a_normed_or_pruned_readout(tmp_path, dim):
    net = Net(lstm())
    nn.utils.weight_norm(net.fc, "weight", dim=dim)
    torch.save(net.state_dict(), tmp_path / "n.pt")
    torch.testing.assert_close(load_weights(tmp_path / "n.pt").readout(torch.ones(6)), net.fc(torch.ones(6)))
    net = Net(lstm())
    prune.l1_unstructured(net.fc, "weight", 0.5)
    torch.save(net.state_dict(), tmp_path / "p.pt")
    got = load_weights(tmp_path / "p.pt").readout
    torch.testing.assert_close(got(torch.ones(6)), net.fc(torch.ones(6)))
    assert (got.weight == 0).sum() == 9


@pytest.mark.filterwarnings("ignore")
def test_old_spectral_norm_of_a_cell(tmp_path):
    cell = nn.utils.spectral_norm(nn.LSTMCell(4, 6), "weight_hh")
    cell(torch.ones(1, 4))
    cell.eval()
    torch.save({f"cell.{k}": v for k, v in cell.state_dict().items()}, tmp_path / "m.pt")
    got, x = load_weights(tmp_path / "m.pt"), torch.randn(1, 4)
    with torch.no_grad():
        torch.testing.assert_close(got.lstm(x[:, None])[0][:, 0], cell(x)[0])


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


class Split(nn.Module):
    def forward(self, left, right):
        return left @ right

    def right_inverse(self, weight):
        return weight[:, :2].clone(), weight[:2].clone()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda m: parametrizations.orthogonal(m, "weight_hh_l0"), "by a parametrization that the file does not name"),
        (lambda m: parametrize.register_parametrization(m, "weight_hh_l0", Doubled()), "does not name"),
        (lambda m: parametrize.register_parametrization(m, "weight_hh_l0", Split()), r"\(24, 2\) and \(2, 6\), which"),
        (
            lambda m: parametrize.register_parametrization(m, "weight_ih_l0", Doubled()),
            "weight_ih_l0 is made by a para",
        ),
        (
            lambda m: parametrize.register_parametrization(m, "bias_hh_l0", Doubled()),
            "bias_hh_l0 is made by a parametr",
        ),
    ],
)
def test_what_the_file_does_not_determine_is_refused_by_name(tmp_path, make, words):
    module = lstm()
    make(module)
    torch.save(module.state_dict(), tmp_path / "m.pt")
    with pytest.raises(InputError, match=words):
        load_weights(tmp_path / "m.pt")


def test_names_that_only_look_like_parts_are_left_alone(tmp_path):
    state = {**Net(lstm()).state_dict(), "loss.weight_v": torch.ones(3), "n.weight_raw_count": torch.tensor(1)}
    torch.save(state, tmp_path / "m.pt")
    got = load_weights(tmp_path / "m.pt")
    np.testing.assert_array_equal(got.lstm.weight_hh_l0.detach(), state["lstm.weight_hh_l0"])


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "build",
    [lambda one: nn.utils.weight_norm(one, "weight_hh_l0", dim=1),
     lambda one: nn.utils.weight_norm(one, "weight_ih_l0"), lambda one: Wrapped(one, ["weight_hh_l0"]).module],
)  # fmt: skip
def test_what_is_made_of_what_is_made(tmp_path, build):
    plain = build(lstm())
    part = next((name for name, _ in plain.named_parameters() if name.endswith("_v")), "weight_hh_l0")
    prune.l1_unstructured(plain, part, 0.1)
    plain(torch.zeros(1, 1, 4))
    torch.save({"net": [plain.state_dict(), {"lr": 0.1}]}, tmp_path / "m.pth")
    got = load_weights(tmp_path / "m.pth")
    same_h(got, plain)
    assert any("pruned: _orig times _mask" in note for note in got.notes)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("seed", [0, 1])
def test_old_spectral_norm_of_a_square_matrix(tmp_path, dim, seed):
    torch.manual_seed(seed)
    plain = nn.LSTM(8, 2)
    nn.utils.spectral_norm(plain, "weight_ih_l0", dim=dim)
    for _ in range(3):
        plain(torch.randn(4, 3, 8))
    plain.eval()
    x = torch.randn(4, 3, 8)
    with torch.no_grad():
        want = plain(x)[0]
    torch.save(plain.state_dict(), tmp_path / "m.pth")
    got = load_weights(tmp_path / "m.pth").lstm
    with torch.no_grad():
        torch.testing.assert_close(got(x.transpose(0, 1))[0].transpose(0, 1), want, atol=1e-5, rtol=0)
