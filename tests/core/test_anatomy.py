"""The anatomy against real LSTMs: shapes, parameters, which rows are a unit's own, what it sees."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from torch import Tensor, nn

import lstm_probe as lp
from lstm_probe.cli.commands.describe import explain, figure_name, run
from lstm_probe.cli.config import DescribeConfig
from lstm_probe.core.anatomy import (
    FRAMEWORK_WORDS,
    FRAMEWORKS,
    OWNED_COLUMNS,
    PARAMETER_COLUMNS,
    RECORDED_COLUMNS,
    TENSOR_COLUMNS,
    Anatomy,
    owned,
    parameters,
    recorded,
    tensors,
)
from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import GATE_ORDERS
from lstm_probe.recorder import LSTMConfig

sizes = st.builds(
    lambda units, inputs, layers, share, bias: Anatomy(units, inputs, layers, int(share * units), bias),
    units=st.integers(1, 12),
    inputs=st.integers(1, 9),
    layers=st.integers(1, 3),
    share=st.sampled_from([0.0, 0.3, 0.6, 0.95]),
    bias=st.booleans(),
)


def build(anatomy: Anatomy) -> nn.LSTM:
    size = LSTMConfig(anatomy.inputs, anatomy.units, anatomy.layers, anatomy.projection, anatomy.bias)
    return size.build(seed=0)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(0))


def whole(anatomy: Anatomy, framework: str, peepholes: bool = False) -> int:
    table = parameters(anatomy)
    return table[(table["framework"] == framework) & (table["peepholes"] == peepholes)]["in_layer"].sum()


def step(lstm: nn.LSTM, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One step of one sequence; returns h and c."""
    _, (h, c) = lstm(x.view(1, 1, -1), (h.view(1, 1, -1), c.view(1, 1, -1)))
    return h.flatten(), c.flatten()


@settings(deadline=None, max_examples=50)
@given(sizes)
def test_tensors_are_those_of_pytorch(anatomy: Anatomy) -> None:
    table = tensors(anatomy)
    assert tuple(table.columns) == TENSOR_COLUMNS
    real = {name: tuple(value.shape) for name, value in build(anatomy).named_parameters()}
    assert dict(zip(table["name"], table["shape"])) == real
    assert table["parameters"].sum() == sum(value.numel() for value in build(anatomy).parameters())
    letters = {"I": anatomy.inputs, "H": anatomy.units, "4H": 4 * anatomy.units, "P": anatomy.projection}
    for row in table.itertuples():
        assert tuple(letters[letter] for letter in row.letters.strip("()").split(", ")) == row.shape


@settings(deadline=None, max_examples=50)
@given(sizes)
def test_parameters_of_pytorch(anatomy: Anatomy) -> None:
    assert tuple(parameters(anatomy).columns) == PARAMETER_COLUMNS
    assert whole(anatomy, "pytorch") == sum(value.numel() for value in build(anatomy).parameters())


@settings(deadline=None, max_examples=50)
@given(sizes)
def test_parameters_of_each_framework_by_its_tensors(anatomy: Anatomy) -> None:
    """Sum up the tensors that each framework's reference lists, layer by layer."""
    H, R, P = anatomy.units, anatomy.outputs, anatomy.projection
    keras = tensorflow = onnx = 0
    for layer in range(anatomy.layers):
        I = anatomy.inputs if layer == 0 else R  # noqa: E741
        keras += I * 4 * H + H * 4 * H + 4 * H * anatomy.bias  # kernel, recurrent_kernel, bias
        tensorflow += (I + R) * 4 * H + 4 * H + H * P  # kernel, bias, projection/kernel
        onnx += 4 * H * I + 4 * H * H + 8 * H * anatomy.bias  # W, R, B
    peepholes = 3 * H * anatomy.layers  # w_i_diag, w_f_diag, w_o_diag; or P
    assert whole(anatomy, "keras") == (0 if P else keras)
    assert whole(anatomy, "onnx") == (0 if P else onnx)
    assert whole(anatomy, "onnx", peepholes=True) == (0 if P else onnx + peepholes)
    assert whole(anatomy, "tensorflow1") == (tensorflow if anatomy.bias else 0)
    assert whole(anatomy, "tensorflow1", peepholes=True) == (tensorflow + peepholes if anatomy.bias else 0)


@settings(deadline=None, max_examples=50)
@given(sizes)
def test_formula_is_the_number(anatomy: Anatomy) -> None:
    values = {"H": anatomy.units, "I": anatomy.inputs, "P": anatomy.projection}
    table = parameters(anatomy).query("layer == 0").groupby(["framework", "peepholes"])["in_layer"].sum()
    for framework in FRAMEWORKS:
        if framework.builds(anatomy):
            written = framework.formula(anatomy).replace("4H", "4*H*").replace("3H", "3*H")
            assert eval(written.replace("HP", "H*P"), values) == table[framework.key, framework.peepholes]


@pytest.mark.parametrize(
    ("anatomy", "framework", "counted"),
    [
        (Anatomy(10, 3), "pytorch", 600),
        (Anatomy(64, 50, projection=16), "pytorch", 18_432),
        # count_params() of keras.layers.LSTM, Keras 3.15.1
        (Anatomy(10, 3), "keras", 560),
        (Anatomy(32, 8), "keras", 5_248),
        # W, R and B in a graph that torch.onnx.export wrote, onnx 1.23.2
        (Anatomy(10, 3), "onnx", 600),
        (Anatomy(32, 8), "onnx", 5_376),
    ],
)
def test_counts_of_real_layers(anatomy: Anatomy, framework: str, counted: int) -> None:
    assert whole(anatomy, framework) == counted


def test_per_unit_and_per_gate() -> None:
    table = parameters(Anatomy(units=32, inputs=8))
    pytorch = table[table["framework"] == "pytorch"].set_index("part")
    assert pytorch.loc["i", ["per_unit", "in_layer"]].tolist() == [42, 1344]
    assert pytorch["per_unit"].sum() == 168
    with_peepholes = table[(table["framework"] == "tensorflow1") & table["peepholes"]].set_index("part")
    assert with_peepholes.loc[["i", "f", "g", "o"], "per_unit"].tolist() == [42, 42, 41, 42]


@settings(deadline=None, max_examples=50)
@given(sizes, st.data())
def test_owned_rows_alone_reach_the_unit(anatomy: Anatomy, data: st.DataObject) -> None:
    """In a step from zero, what unit j gives depends on its own four rows and on no other."""
    one_layer = Anatomy(anatomy.units, anatomy.inputs)
    unit = data.draw(st.integers(0, one_layer.units - 1))
    table = owned(one_layer, unit)
    assert tuple(table.columns) == OWNED_COLUMNS
    lstm = build(one_layer).double()
    x, h, c = (noise(n) for n in (one_layer.inputs, one_layer.units, one_layer.units))
    given_out, _ = step(lstm, x, h, c)
    for gradient in torch.autograd.grad(given_out[unit], list(lstm.parameters())):
        rows = torch.nonzero(gradient.reshape(4 * one_layer.units, -1).abs().sum(1)).flatten()
        assert rows.tolist() == table[table["framework"] == "pytorch"]["index"].tolist()


def test_owned_follows_each_gate_order() -> None:
    table = owned(Anatomy(units=32, inputs=8), unit=5)
    for framework, order in GATE_ORDERS.items():
        own = table[table["framework"] == framework]
        assert own["gate"].tolist() == list(order)
        assert own["index"].tolist() == [5, 37, 69, 101]
    assert set(table[table["axis"] == "column"]["framework"]) == {"keras", "tensorflow1"}


def test_a_unit_sees_all_of_x_and_h_and_only_its_own_memory() -> None:
    lstm = build(Anatomy(6, 4)).double()
    x, h, c = (noise(n).requires_grad_() for n in (4, 6, 6))
    _, memory = step(lstm, x, h, c)
    seen = [torch.nonzero(grad).flatten().tolist() for grad in torch.autograd.grad(memory[2], [x, h, c])]
    assert seen == [[0, 1, 2, 3], [0, 1, 2, 3, 4, 5], [2]]


@settings(deadline=None, max_examples=50)
@given(sizes)
def test_recorded_shapes_are_those_of_a_recording(anatomy: Anatomy) -> None:
    table = recorded(anatomy).set_index("variable")
    assert (table.index.name, *table.columns) == RECORDED_COLUMNS
    recording = lp.record(build(anatomy), noise(3, 5, anatomy.inputs).float())
    assert table.loc["x", "size"] == recording.inputs.shape[-1]
    for part in recording:
        for variable in part.variables:
            real = ", ".join(map(str, part[variable].shape))
            assert table.loc[variable, "shape"].replace("sequence", "3").replace("time", "5") == f"({real})"


def test_words_agree_with_the_gate_orders() -> None:
    """The frameworks' own letters for the gates, in the order in which they store them."""
    letters = {"pytorch": "ifgo", "keras": "ifco", "tensorflow1": "ijfo", "onnx": "iofc"}
    own_g = {"pytorch": "g", "keras": "c", "tensorflow1": "j", "onnx": "c"}
    words = {row[0]: row[1:] for row in FRAMEWORK_WORDS}
    for shown, (key, order) in zip(words["gates in order"], GATE_ORDERS.items()):
        assert shown.replace(" ", "") == letters[key]
        assert tuple("g" if letter == own_g[key] else letter for letter in letters[key]) == order


@pytest.mark.parametrize(
    ("sizes", "problems"),
    [
        ({"units": 0}, ["units=0"]),
        ({"units": -3, "inputs": 0, "layers": 0}, ["units=-3", "inputs=0", "layers=0"]),
        ({"projection": 32}, ["projection=32: must be below units=32"]),
        ({"projection": -1}, ["projection=-1"]),
    ],
)
def test_bad_sizes(sizes: dict[str, int], problems: list[str]) -> None:
    with pytest.raises(InputError) as raised:
        Anatomy(**{"units": 32, "inputs": 8, **sizes})
    assert len(raised.value.problems) == len(problems)
    assert all(line.startswith(start) for line, start in zip(raised.value.problems, problems))


@pytest.mark.parametrize("unit", [-1, 32])
def test_unit_out_of_range(unit: int) -> None:
    with pytest.raises(InputError, match=f"unit={unit}: must be from 0 to 31"):
        owned(Anatomy(32, 8), unit)


def said(anatomy: Anatomy, unit: int, width: int = 100) -> list[str]:
    console = Console(width=width, highlight=False, force_terminal=False)
    with console.capture() as captured:
        console.print(explain(anatomy, unit))
    return captured.get().splitlines()


def test_explanation_says_the_numbers() -> None:
    lines = said(Anatomy(32, 8), 5)
    text = " ".join(" ".join(lines).split())
    assert len(lines) <= 135
    assert "has nothing to do with how long the sequences are, nor with the number of input features" in text
    assert "by weight rows 5, 37, 69, 101" in text
    for expected in (
        "weight_ih_l0 (4H, I) 128 × 8 1,024",
        "(sequence, time, 32 units)",
        "PyTorch nn.LSTM 42 1,344 168 5,376 4H(I + H + 2)",
        "Keras LSTM 41 1,312 164 5,248 4H(I + H + 1)",
        "with peepholes 42 1,344 167 5,344 4H(I + H + 1) + 3H",
        "PyTorch has 2,560 parameters instead of 5,376",
    ):
        assert expected in text


@pytest.mark.parametrize(
    "anatomy", [Anatomy(1, 1), Anatomy(2, 8, projection=1), Anatomy(1024, 700, 3, 128), Anatomy(4096, 8, 16)]
)
def test_explanation_fits_and_pictures_are_whole(anatomy: Anatomy) -> None:
    lines = said(anatomy, anatomy.units - 1)
    assert max(map(len, lines)) <= 100
    first = next(k for k, line in enumerate(lines) if "──┐" in line)
    corner, gates = lines[first].index("┐"), lines[first + 1].index("i f g o")
    assert lines[first + 1][corner] == "├" and lines[first + 2][corner] == "┘"
    assert [lines[first + k][gates] for k in (2, 3, 4, 5, 6)] == ["│", "▼", "c", "│", "└"]
    assert "at t+1" in lines[first + 4]


@pytest.mark.parametrize(("projection", "numbers"), [(1, "1 number"), (3, "3 numbers")])
def test_under_a_projection_a_unit_is_shown_by_a_column(projection: int, numbers: str) -> None:
    """Without it, nothing that its four rows do to its memory is seen in h."""
    torch.manual_seed(0)
    lstm, x = torch.nn.LSTM(2, 5, proj_size=projection), torch.randn(7, 1, 2)
    with torch.no_grad():
        for column, seen in ((lstm.weight_hr_l0[:, 4].clone(), True), (torch.zeros(projection), False)):
            lstm.weight_hr_l0[:, 4] = column
            before = lstm(x)[0]
            for weights in (lstm.weight_ih_l0, lstm.weight_hh_l0):
                weights[owned(Anatomy(5, 2, projection=projection), 4).query("framework == 'pytorch'")["index"]] += 1
            assert torch.equal(before, lstm(x)[0]) != seen
    text = " ".join(" ".join(said(Anatomy(5, 2, projection=projection), 4)).split())
    assert f"By its column of weight_hr, {numbers}, what it shows goes into h[t]." in text
    assert "column of weight_hr" not in " ".join(said(Anatomy(5, 2), 4))


def test_every_layer_is_described() -> None:
    text = "\n".join(said(Anatomy(32, 8, layers=2, projection=8), 0))
    assert "weight_ih_l1" in text and "weight_hr_l1" in text and "h[t] of layer 0 into gates" in text
    assert "weight_hh_l1 ... _l3" in "\n".join(said(Anatomy(32, 8, layers=4), 0))


def test_command_prints_and_draws(tmp_path, capsys) -> None:
    run(DescribeConfig(units=4, inputs=3, layers=2, projection=2, unit=1, outputs=str(tmp_path)))
    name = figure_name(Anatomy(4, 3, 2, 2), 1)
    assert name == "units4-inputs3-layers2-projection2-unit1"
    assert {path.name for path in (tmp_path / "describe").iterdir()} == {f"{name}.svg", f"{name}.png"}
    printed = capsys.readouterr().out
    assert "What does num_units = 4 mean?" in printed and f"{name}.svg" in printed


def test_command_refuses_a_unit_that_is_not_there(tmp_path) -> None:
    with pytest.raises(InputError, match="unit=4"):
        run(DescribeConfig(units=4, unit=4, outputs=str(tmp_path)))
    assert not list(tmp_path.iterdir())
