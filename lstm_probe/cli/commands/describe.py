"""The `describe` command: what `num_units` means, in words, tables and one figure, for a chosen size."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from lstm_probe.cli.config import DescribeConfig
from lstm_probe.cli.next_step import command, show_next
from lstm_probe.core.anatomy import FRAMEWORK_WORDS, FRAMEWORKS, Anatomy, owned, parameters, recorded, tensors
from lstm_probe.core.console import out
from lstm_probe.core.tables import Entries, WordTable
from lstm_probe.core.vocabulary import WORDS
from lstm_probe.figures.anatomy import anatomy_figure
from lstm_probe.figures.saving import save

WIDTH = 100


def run(config: DescribeConfig) -> None:
    """Explain an LSTM of the chosen size in the terminal and draw it as SVG and PNG."""
    anatomy = Anatomy(config.units, config.inputs, config.layers, config.projection)
    anatomy.check_unit(config.unit)
    path = Path(config.outputs) / "describe" / figure_name(anatomy, config.unit)
    svg, png = save(anatomy_figure(anatomy, unit=config.unit), path)
    width = min(WIDTH, out.width)
    out.print(explain(anatomy, config.unit, width), width=width)
    out.print(f"The same as a figure: {svg} and {png.name}", markup=False, soft_wrap=True)
    show_next((f"To see what {many(config.units, 'unit')} learn:", command("train", units=config.units)))


def figure_name(anatomy: Anatomy, unit: int) -> str:
    """Return the figure's file name without suffix; one layer, no projection and unit 0 go without saying.

    >>> figure_name(Anatomy(units=32, inputs=8), unit=0)
    'units32-inputs8'
    """
    parts = [f"units{anatomy.units}", f"inputs{anatomy.inputs}"]
    parts += [f"layers{anatomy.layers}"] * (anatomy.layers > 1)
    parts += [f"projection{anatomy.projection}"] * (anatomy.projection > 0)
    parts += [f"unit{unit}"] * (unit > 0)
    return "-".join(parts)


def explain(anatomy: Anatomy, unit: int, width: int = WIDTH) -> Group:
    """Return the whole explanation, one section after another, for so many columns."""
    recorded_where = " of every layer" if anatomy.layers > 1 else ""
    sections: dict[str, list[Padding]] = {
        f"What does num_units = {anatomy.units} mean?": [indent(answer(anatomy))],
        f"Who sees what: unit {unit} at step t": [
            indent(picture(anatomy, unit, width - 2)),
            indent(ownership(anatomy, unit)),
            owned_rows(anatomy, unit),
        ],
        "The weights, by PyTorch's names": [weights(anatomy)],
        f"What is recorded{recorded_where}": [
            *shapes(anatomy),
            indent(no_feature_axis(anatomy, unit)),
        ],
        "Parameters": [counts(anatomy), indent(differences(anatomy))],
        "What a projection changes": [indent(projection(anatomy))],
        "The words": [words(), frameworks()],
    }
    parts: list[RenderableType] = []
    for title, contents in sections.items():
        parts += [Text(title, "bold"), *contents]
    return Group(*parts)


def indent(text: str) -> Padding:
    """Return text with a margin; square brackets in it mean themselves."""
    return Padding(Text(text), (0, 0, 1, 2), expand=False)


def table(header: Iterable[str], rows: Iterable[Iterable[str]], numbers: Iterable[int] = ()) -> Padding:
    """Return a table whose columns `numbers` are aligned to the right."""
    names = tuple(header)
    built = WordTable(*names, numbers=[names[k] for k in numbers])
    for row in rows:
        built.add_row(*row)
    return Padding(built, (0, 0, 1, 2), expand=False)


def many(n: int, word: str) -> str:
    """Return a number with its noun.

    >>> many(1, "unit"), many(1024, "unit")
    ('1 unit', '1,024 units')
    """
    return f"{n:,} {word}{'s' * (n != 1)}"


def answer(anatomy: Anatomy) -> str:
    """Return the answer to the question, in one paragraph."""
    H = anatomy.units
    several = f"is {H} parallel units of identical structure, numbered 0 to {H - 1}. Each"
    alike = "is a single unit, number 0. It" if H == 1 else several
    parts = [
        f"A layer with num_units = {H} {alike} has one memory, a single number c[t, j] that it carries from",
        "step to step, and three gates and a cell input of its own that decide what is kept, written and",
        "shown. num_units (TensorFlow), units (Keras) and hidden_size (PyTorch, ONNX) are this same",
        "number: how many units there are, the length of c[t]. It has nothing to do with how long the",
        "sequences are, nor with",
        f"the number of input features (here {anatomy.inputs}): every unit sees the whole x[t] and the whole",
        "h[t-1], which is what all units showed one step before.",
    ]
    if H > 1:
        parts.append("The units differ in nothing but their weights.")
    if anatomy.layers > 1:
        parts.append(
            f"Each of the {anatomy.layers} layers has {many(H, 'unit')} of its own; where the lowest layer"
            " reads x[t], a higher one reads the whole h[t] of the layer below."
        )
    return " ".join(parts)


def picture(anatomy: Anatomy, unit: int, width: int = WIDTH) -> str:
    """Return a drawing of what reaches one unit and where its values go, of at most `width` columns if it can be."""
    H, R = anatomy.units, anatomy.outputs
    rows = owned(anatomy, unit).query("framework == 'pytorch'")["index"]
    shown = [f"h[t, {unit}] = o · tanh(c[t, {unit}])"]
    if anatomy.projection:
        shown = [f"o · tanh(c[t, {unit}]), which weight_hr"]
        shown.append(f"mixes with all units' into h[t], {many(R, 'number')}")
    x, h, own = f"x[t]    all {anatomy.inputs}", f"h[t-1]  all {R}", f"c[t-1, {unit}]  its own"
    space = max(len(x), len(h), len(own))
    lines = [
        f"{x:<{space}} ──┐",
        f"{'':<{space}}   ├──► i f g o  by weight rows {', '.join(map(str, rows))}",
        f"{h:<{space}} ──┘    │",
        f"{'':<{space}}        ▼",
        f"{own:<{space}} ─────► c[t, {unit}] = f · c[t-1, {unit}] + i · g ──► itself at t+1",
        f"{'':<{space}}        │",
        f"{'':<{space}}        └──► {shown[0]}",
        *(f"{'':<{space}}             {more}" for more in shown[1:]),
        f"{'':<{space}}             ├──► {'itself' if H == 1 else f'all {H} units'} at t+1",
        f"{'':<{space}}             └──► the layer above or the readout at t",
    ]
    if max(map(len, lines)) > width:
        lines = [
            x,
            h,
            "│",
            f"├──► i f g o  by weight rows {', '.join(map(str, rows))}",
            "▼",
            f"c[t, {unit}] = f · c[t-1, {unit}] + i · g",
            "│",
            "├──► itself at t+1",
            f"└──► {shown[0]}",
            *(f"     {more}" for more in shown[1:]),
            f"     ├──► {'itself' if H == 1 else f'all {H} units'} at t+1",
            "     └──► the layer above or the readout at t",
        ]
    return "\n".join(lines)


def ownership(anatomy: Anatomy, unit: int) -> str:
    """Return which weights are a unit's own, and what follows from it."""
    H = anatomy.units
    text = (
        f"Each gate has a block of {many(H, 'row')} in the weights, one row for each unit. Row {unit} of each"
        f" block belongs to unit {unit}: these four rows write to its memory and show it, and no others do."
    )
    if anatomy.projection:
        text += f" By its column of weight_hr, {many(anatomy.projection, 'number')}, what it shows goes into h[t]."
    if H > 1:
        text += " The unit never sees another unit's memory: it knows only what the others show, h[t-1]."
    return text


def owned_rows(anatomy: Anatomy, unit: int) -> Padding:
    """Return the table of a unit's own rows, or columns where a framework stores the weights transposed."""
    every = owned(anatomy, unit)
    rows = []
    for framework in FRAMEWORKS:
        if not framework.peepholes:
            own = every[every["framework"] == framework.key]
            cells = (f"{gate} {index}" for gate, index in zip(own["gate"], own["index"]))
            rows.append((framework.name, f"{framework.axis}s", *cells))
    return table(("", f"unit {unit} owns", "", "", "", ""), rows)


def weights(anatomy: Anatomy) -> Padding:
    """Return the table of weight tensors; layers above the second are like the second."""
    every = tensors(anatomy)
    rows = []
    for row in every[every["layer"] <= 1].to_dict("records"):
        name, meaning = row["name"], row["meaning"]
        if row["layer"] == 1 and anatomy.layers > 2:
            name = name.replace("_l1", f"_l1 ... _l{anatomy.layers - 1}")
            meaning = meaning.replace("of layer 0", "of the layer below")
        shape = " × ".join(f"{size:,}" for size in row["shape"])
        rows.append((name, row["letters"], shape, f"{row['parameters']:,}", meaning))
    return table(("tensor", "letters", "shape", "numbers", "what it does"), rows, numbers=[2, 3])


def shapes(anatomy: Anatomy) -> Iterator[Padding]:
    """Go through what is recorded: each shape, and the variables that have it."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in recorded(anatomy).to_dict("records"):
        *outer, last = row["axes"]
        shape = f"({', '.join(outer)}, {many(row['size'], last)})"
        found.setdefault(shape, []).append((row["variable"], row["meaning"]))
    for n, (shape, variables) in enumerate(found.items()):
        own = Group(Text(shape), Entries(*variables, indent=4))
        yield Padding(own, (0, 0, int(n == len(found) - 1), 2), expand=False)


def no_feature_axis(anatomy: Anatomy, unit: int) -> str:
    """Return why input features are no axis of what is recorded."""
    return (
        "Input features are no axis of c i f g o h, because a unit adds them all up before anything else:\n"
        f"    i[t, {unit}] = σ( Σₖ W[{unit}, k] · x[t, k]\n"
        f"            + Σₘ U[{unit}, m] · h[t-1, m] + b[{unit}] )\n"
        f"{anatomy.inputs} + {anatomy.outputs} numbers go in and one comes out. So a unit has one value per"
        " variable and step, however many features there are; which features it listens to is written in its rows"
        " of the weights."
    )


def counts(anatomy: Anatomy) -> Padding:
    """Return the table of parameters per framework."""
    every = parameters(anatomy)
    layers = ["layer 0", many(anatomy.layers, "layer")] if anatomy.layers > 1 else ["layer"]
    header = ("", "a unit's gate", "a gate", "a unit", *layers, "formula of a layer")
    rows = []
    for framework in FRAMEWORKS:
        chosen = every[(every["framework"] == framework.key) & (every["peepholes"] == framework.peepholes)]
        if chosen.empty:
            rows.append((framework.name, *["-"] * (3 + len(layers)), "has no projection"))
            continue
        first = chosen[chosen["layer"] == 0]
        gate = first[first["part"] == "i"]
        cells = [gate["per_unit"], gate["in_layer"], first["per_unit"], first["in_layer"]]
        cells += [chosen["in_layer"]] * (anatomy.layers > 1)
        rows.append((framework.name, *(f"{cell.sum():,}" for cell in cells), framework.formula(anatomy)))
    return table(header, rows, numbers=range(1, 4 + len(layers)))


def differences(anatomy: Anatomy) -> str:
    """Return what the letters are and why the frameworks' numbers differ."""
    letters = f"I = {many(anatomy.inputs, 'input')}, H = {many(anatomy.units, 'unit')}"
    if anatomy.projection:
        letters += f", P = {many(anatomy.projection, 'element')} of h"
    if anatomy.layers > 1:
        letters += f"; above layer 0 put {'P' if anatomy.projection else 'H'} for I"
    return (
        f"{letters}. PyTorch and ONNX keep two biases for each gate, Keras and TensorFlow one; only their sum"
        f" matters, so the second one's {4 * anatomy.units:,} numbers add nothing to what a layer can do."
        " Peepholes let the gates i, f and o (not g) also see their own unit's c, through one weight each."
        " TensorFlow's LSTMCell adds 1 to the forget gate's bias while it runs (forget_bias), which is in no"
        " stored weight."
    )


def projection(anatomy: Anatomy) -> str:
    """Return what the projection does, or would do."""
    H, P = anatomy.units, anatomy.projection
    if H == 1:
        return "It makes h[t] shorter than c[t], which takes at least 2 units."
    example = P or max(1, H // 4)
    sizes = (Anatomy(H, anatomy.inputs, anatomy.layers, chosen) for chosen in (example, 0))
    with_it, without = (tensors(size)["parameters"].sum() for size in sizes)
    seen = "is one mixture" if example == 1 else f"are {example} mixtures"
    return (
        f"projection={example} {'makes' if P else 'would make'} h[t] {many(example, 'number')} instead of"
        f" {H}: h[t] = weight_hr · (o · tanh(c[t])), a matrix of {example} × {H}. Memory and gates keep their"
        f" length, so there are still {H} units; but what the units, the next layer and the readout see of"
        f" them {seen}, and no element of h belongs to one unit any more (its c does). weight_hh is"
        f" {4 * H:,} × {example} instead of {4 * H:,} × {H:,}; PyTorch has {with_it:,} parameters instead of"
        f" {without:,}."
    )


def words() -> Padding:
    """Return the words of this project."""
    rows = ((w.word, w.meaning + (f"; also {w.also_called}" if w.also_called else "")) for w in WORDS)
    return table(("here", "means"), rows)


def frameworks() -> Padding:
    """Return the same things in each framework's words."""
    header = ("here", "PyTorch nn.LSTM", "Keras LSTM", "TensorFlow 1 LSTMCell", "ONNX LSTM")
    return table(header, FRAMEWORK_WORDS)
