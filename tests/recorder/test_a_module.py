"""What is no network is refused in one sentence that says how to come to one, whatever is asked of it."""

import pytest
import torch
from jaxtyping import config
from torch import nn

import lstm_probe as lp
from tests.handmade import counter_and_latch, counting_batch

ASKED = {
    "record": lambda given, batch: lp.record(given, batch.inputs),
    "ablate_units": lp.ablate_units,
    "sufficient_units": lp.sufficient_units,
    "unit_shares": lp.unit_shares,
    "patch_units": lp.patch_units,
    "shrink": lp.shrink,
    "used_units": lp.used_units,
    "effective_dimension": lp.effective_dimension,
    "fixed_points": lp.fixed_points,
    "memory_flow": lp.memory_flow,
    "timescales": lp.timescales,
    "export": lambda given, batch: lp.export(given, "there.onnx", format="onnx"),
}


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """Annotations are checked while the tests run, and by nobody else."""
    monkeypatch.setattr(config, "jaxtyping_disable", True)


class Wrapper:
    """Holds a network, as a run does."""

    def __init__(self, model):
        self.model = model


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(("make", "words"), [
    (lambda model: model.state_dict(), r"the model is a OrderedDict; .*make the module first and load it there"),
    (lambda model: "net.pt", r"the model is a str; .*lp\.load_weights reads a file"),
    (lambda model: nn.LSTM, r"the model is the class LSTM; give one that was made of it, LSTM\(\.\.\.\)"),
    (Wrapper, r"the model is a Wrapper; .*its \.model is one"),
    (lambda model: None, r"the model is a NoneType; it must be a torch\.nn\.Module$"),
])  # fmt: skip
def test_what_is_no_module_is_refused_in_one_sentence(asked, make, words):
    given = make(counter_and_latch(0))
    with pytest.raises(lp.InputError, match=words):
        ASKED[asked](given, counting_batch(0, n=20))


def test_of_what_cannot_be_stacked_each_is_named():
    with pytest.raises(
        lp.InputError, match=r"^modules\[1\] is a str; nn\.LSTM and lp\.SequenceModel can be stacked\.$"
    ):
        lp.stack([nn.LSTM(2, 3, batch_first=True), "net.pt"])


def test_a_keras_model_is_told_by_its_file():
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "torch":
        pytest.skip("a Keras model is no module there")
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, return_sequences=True)])
    for given in (model, model.layers[0]):
        with pytest.raises(lp.InputError, match=r"it is Keras's: save it as \.keras, which lp\.load_weights reads"):
            lp.record(given, torch.zeros(2, 5, 3))


def test_layers_of_keras_that_are_modules_are_told_by_their_file():
    """As they are where PyTorch is Keras's backend, but for all that they do."""
    layer = type("LSTM", (nn.Module,), {"__module__": "keras.src.layers.rnn.lstm"})()
    for model in (layer, nn.Sequential(nn.Linear(3, 3), layer)):
        with pytest.raises(lp.InputError, match=r"it is Keras's: save it as \.keras, which lp\.load_weights reads"):
            lp.record(model, torch.zeros(2, 5, 3))
