"""The anatomy of an LSTM layer as one picture: its units, one of them opened, its weights, what is recorded.

Each panel is an axes measured in inches, with the origin at its lower left corner.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from lstm_probe.core.anatomy import Anatomy, owned, tensors
from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import GATE_ORDERS
from lstm_probe.figures import sketch
from lstm_probe.figures.sketch import CHOSEN, GATES, INPUT, MEMORY, OUTPUT, PALE, arrow, box, label, line
from lstm_probe.figures.style import GREY, INK, available_width, new_figure, styled

WIDTH, HEIGHT = 13.0, 10.1
MOST_SHOWN = 7
#: What each gate asks, and how it squashes the answer.
ASKS = {"f": "σ: keep", "i": "σ: write", "g": "tanh: what", "o": "σ: show"}


@styled
def anatomy_figure(anatomy: Anatomy, *, unit: int = 0) -> Figure:
    """Draw the lowest layer: its units side by side, one of them opened, its weights, what is recorded.

    Args:
        anatomy: the sizes.
        unit: which unit is opened, from 0.

    Raises:
        InputError: there is no such unit, or the width is less than what the diagram takes, 13 inches.
    """
    anatomy.check_unit(unit)
    if (asked := available_width(WIDTH)) < WIDTH:
        raise InputError(f"width={asked:g}: this diagram has letters that can be read from {WIDTH:g} inches on")
    H = anatomy.units
    figure = new_figure(WIDTH, HEIGHT)
    several = f"The lowest of {anatomy.layers} LSTM layers, each with num_units = {H}"
    title = several if anatomy.layers > 1 else f"An LSTM layer with num_units = {H}"
    same = (
        "num_units (TensorFlow) = units (Keras) = hidden_size (PyTorch, ONNX): how many units work side by"
        " side; neither the sequence's length nor the number of inputs"
    )
    figure.text(0.5, 0.962, title, size=17, weight="bold", color=INK, ha="center")
    figure.text(0.5, 0.936, same, size=10.5, color=GREY, ha="center")
    units = "1 unit" if H == 1 else f"{H:,} parallel units of the same structure"
    for draw, place, name in (
        (draw_layer, (0.25, 4.75, 6.3, 4.5), f"1   The layer: {units}"),
        (draw_unit, (6.95, 4.75, 5.8, 4.5), f"2   Unit {unit} opened"),
        (draw_weights, (0.25, 0.15, 6.3, 4.3), f"3   The weights of unit {unit}"),
        (draw_recording, (6.95, 0.15, 5.8, 4.3), "4   What is recorded"),
    ):
        draw(sketch.panel(figure, place, name), anatomy, unit)
    return figure


def shown_units(n: int, chosen: int) -> list[int | None]:
    """Return which of n units to draw: all if they are few, else the first three, the chosen, the last.

    None stands for those left out.

    >>> shown_units(32, 5)
    [0, 1, 2, None, 5, None, 31]
    """
    if n <= MOST_SHOWN:
        return list(range(n))
    shown: list[int | None] = []
    last = -1
    for number in sorted({0, 1, 2, chosen, n - 1}):
        if number == last + 2:
            shown.append(number - 1)
        elif number > last + 2:
            shown.append(None)
        shown.append(number)
        last = number
    return shown


def draw_inputs(axes: Axes, anatomy: Anatomy, bus: float) -> tuple[float, float]:
    """Draw x[t] and h[t-1] and join both in a bus; return the height and the right end of h[t-1]."""
    y = 0.42
    for name, n, centre, colour in (
        (f"x[t]: {anatomy.inputs:,} input{'s' * (anatomy.inputs > 1)}", anatomy.inputs, 1.35, INPUT),
        (f"h[t-1]: {anatomy.outputs:,} output{'s' * (anatomy.outputs > 1)}", anatomy.outputs, 4.05, OUTPUT),
    ):
        right = sketch.strip(axes, centre, y, n, colour)
        label(axes, centre, 0.17, name)
        arrow(axes, (centre, y + 0.26), (centre, bus))
    return y + 0.12, right


def draw_layer(axes: Axes, anatomy: Anatomy, unit: int) -> None:
    """Draw all units side by side: each reads everything and gives one number."""
    H, R, centre = anatomy.units, anatomy.outputs, 2.95
    bus = 1.05 if anatomy.projection else 1.3
    shown = shown_units(H, unit)
    pitch = min(0.8, 4.8 / len(shown))
    left, right = centre - pitch * len(shown) / 2, centre + pitch * len(shown) / 2
    each = "It" if H == 1 else "Each"
    inside = f"{each} has four gates (the colours of picture 2) and one memory c, a single number."
    label(axes, 0.0, 4.06, inside, ha="left")
    height, end = draw_inputs(axes, anatomy, bus)
    line(axes, [(min(left + pitch / 2, 1.35), bus), (max(right - pitch / 2, 4.05), bus)], width=2.5)
    label(axes, 2.7, bus - 0.22, f"all of both to {'the' if H == 1 else 'every'} unit")

    box(axes, (left, bus + 1.36), right - left, 0.38, PALE, "none", rounded=True)
    for k, number in enumerate(shown):
        x = left + pitch * (k + 0.5)
        if number is None:
            label(axes, x, bus + 0.75, "…", size=16)
            label(axes, x, bus + 1.58, "…", size=16)
        else:
            arrow(axes, (x, bus), (x, bus + 0.32))
            draw_small_unit(axes, x, bus + 0.32, pitch - 0.12, number, number == unit)
            arrow(axes, (x, bus + 1.12), (x, bus + 1.42))
            box(axes, (x - 0.15, bus + 1.42), 0.3, 0.26, CHOSEN if number == unit else OUTPUT)
    label(axes, left - 0.08, bus + 0.98, "unit", ha="right")

    top, name = bus + 1.55, "h[t]: 1 number" if H == 1 else f"h[t]: {H:,} numbers, one from each unit"
    if anatomy.projection:
        low, high = bus + 1.76, bus + 2.06
        corners = [(left, low), (right, low), (centre + 0.8, high), (centre - 0.8, high)]
        axes.add_patch(Polygon(corners, facecolor=PALE, edgecolor=INK, lw=0.9))
        label(axes, centre, (low + high) / 2, "projection", size=8.5)
        right = sketch.strip(axes, centre, high + 0.04, R, OUTPUT)
        top, name = high + 0.17, f"h[t]: {R:,} mixture{'s' * (R > 1)} of what the {H:,} units give"
    label(axes, centre, top + 0.3, name)
    arrow(axes, (centre, top + 0.42), (centre, top + 0.66))
    above = "to layer 1, which reads all of it as its x[t]" if anatomy.layers > 1 else "to the readout"
    label(axes, centre + 0.1, top + 0.54, above, ha="left")
    arrow(axes, [(right, top), (5.85, top), (5.85, height)], (end, height), dashed=True)
    label(axes, 6.02, (top + height) / 2, "one step later", rotation=270)


def draw_small_unit(axes: Axes, x: float, y: float, width: float, number: int, chosen: bool) -> None:
    """Draw a closed unit above (x, y): its number, its four gates and its memory."""
    edge, lw = (CHOSEN, 2.5) if chosen else (INK, 0.9)
    box(axes, (x - width / 2, y), width, 0.8, "white", edge, rounded=True, lw=lw)
    label(axes, x, y + 0.66, str(number), weight="bold")
    for gate, place in zip("figo", (-0.19, -0.06, 0.06, 0.19)):
        box(axes, (x + place - 0.05, y + 0.37), 0.1, 0.1, GATES[gate], "none")
    sketch.circle(axes, (x, y + 0.18), 0.11, MEMORY, "c")


def draw_unit(axes: Axes, anatomy: Anatomy, unit: int) -> None:
    """Draw one unit's inside: four gates that see everything, and a memory that nobody else sees."""
    rows = owned(anatomy, unit).query("framework == 'pytorch'").set_index("gate")["index"]
    bus, memory, mixing, out = 0.98, 3.3, 2.5, 2.5
    places = {"f": 1.45, "i": 2.2, "g": 2.95, "o": 3.75}
    write, show = 2.575, 4.4
    draw_inputs(axes, anatomy, bus)
    line(axes, [(1.35, bus), (4.05, bus)], width=2.5)
    label(axes, 2.7, 0.76, "all of both to every gate")
    box(axes, (0.95, 1.12), 3.9, 2.55, "none", CHOSEN, rounded=True, lw=2.5)

    line(axes, [(0.1, memory), (write, memory)], width=2.5)
    arrow(axes, [(write, memory)], (5.6, memory), width=2.5)
    own = [(5.7, memory), (5.7, 3.86), (0.0, 3.86), (0.0, memory)]
    arrow(axes, own, (0.12, memory), dashed=True)
    seen = "" if anatomy.units == 1 else "; no other unit ever sees it"
    label(axes, 2.9, 3.99, f"its own memory one step later{seen}")
    for gate, x in places.items():
        arrow(axes, (x, bus), (x, 1.26))
        box(axes, (x - 0.33, 1.26), 0.66, 0.68, GATES[gate], "none", rounded=True)
        label(axes, x, 1.78, gate, size=12, weight="bold", color="white")
        label(axes, x, 1.57, ASKS[gate], size=7.5, color="white")
        label(axes, x, 1.38, f"row {rows[gate]}", size=7.5, color="white")
    arrow(axes, (places["f"], 1.94), (places["f"], memory - 0.13))
    arrow(axes, [(places["i"], 1.94), (places["i"], mixing)], (write - 0.13, mixing))
    arrow(axes, [(places["g"], 1.94), (places["g"], mixing)], (write + 0.13, mixing))
    arrow(axes, (write, mixing + 0.13), (write, memory - 0.13))
    arrow(axes, (show, memory), (show, 3.05))
    arrow(axes, (show, 2.81), (show, out + 0.13))
    arrow(axes, [(places["o"], 1.94), (places["o"], out)], (show - 0.13, out))
    arrow(axes, (show + 0.13, out), (5.6, out))
    box(axes, (show - 0.24, 2.81), 0.48, 0.24, "white", rounded=True)
    label(axes, show, 2.93, "tanh", size=8.5)
    for place, sign in (
        ((places["f"], memory), "×"), ((write, mixing), "×"), ((write, memory), "+"), ((show, out), "×"),
    ):  # fmt: skip
        sketch.circle(axes, place, 0.13, MEMORY, sign)

    label(axes, 3.4, memory + 0.2, "f · c[t-1] + i · g", size=8.5)
    label(axes, 0.07, memory + 0.2, f"c[t-1, {unit}]", ha="left")
    label(axes, 4.92, memory + 0.2, f"c[t, {unit}]", ha="left")
    if anatomy.projection:
        given, to = "o · tanh(c)", "into the\nprojection"
    else:
        label(axes, show, out - 0.26, "o · tanh(c)", size=8.5)
        whom = "itself" if anatomy.units == 1 else "all units"
        given, to = f"h[t, {unit}]", f"to {whom},\none step later"
    label(axes, 4.92, out + 0.2, given, ha="left")
    label(axes, 4.92, out - 0.24, to, size=8, ha="left", color=GREY)


def draw_weights(axes: Axes, anatomy: Anatomy, unit: int) -> None:
    """Draw the weight matrices with the unit's four rows, and its column of the projection."""
    H, I, R, P = anatomy.units, anatomy.inputs, anatomy.outputs, anatomy.projection  # noqa: E741
    top, block, first = 3.45, 0.63, 1.12
    room = 2.55 if P else 3.85
    wide = min(max(room * I / (I + R), 1.05), room - 1.05)
    columns = (
        ("weight_ih_l0", f"{4 * H:,} × {I:,}", "reads x[t]", first, wide),
        ("weight_hh_l0", f"{4 * H:,} × {R:,}", "reads h[t-1]", first + wide + 0.12, room - wide),
        ("2 biases", f"{4 * H:,} each", "", first + room + 0.34, 0.14),
        ("", "", "", first + room + 0.54, 0.14),
    )
    end = first + room + 0.68
    for name, shape, reads, x, width in columns:
        middle = x + width / 2 + 0.1 * (name == "2 biases")
        label(axes, middle, top + 0.35, name, size=8.5, weight="bold")
        label(axes, middle, top + 0.15, shape, size=8.5)
        label(axes, middle, top - 4 * block - 0.15, reads)
    for k, gate in enumerate(GATE_ORDERS["pytorch"]):
        upper = top - k * block
        for *_, x, width in columns:
            box(axes, (x, upper - block + 0.04), width, block - 0.04, GATES[gate], "none", alpha=0.2)
        thick = max((block - 0.04) / H, 0.035)
        y = upper - min((block - 0.04) * (unit + 0.5) / H, block - 0.04 - thick / 2)
        for *_, x, width in columns:
            box(axes, (x, y - thick / 2), width, thick, GATES[gate], "none")
        label(axes, end + 0.06, y, f"row {k * H + unit}", size=8.5, ha="left", color=GATES[gate])
        label(axes, 0.12, upper - block / 2 + 0.02, gate, size=13, weight="bold", color=GATES[gate])
        span = f"row {k}" if H == 1 else f"rows\n{k * H} to {k * H + H - 1}"
        label(axes, first - 0.06, upper - block / 2 + 0.02, span, size=7.5, ha="right", color=GREY)
    if P:
        x, width, tall = 5.12, 1.15, 0.75
        label(axes, x + width / 2, top + 0.35, "weight_hr_l0", size=8.5, weight="bold")
        label(axes, x + width / 2, top + 0.15, f"{P:,} × {H:,}", size=8.5)
        box(axes, (x, top - tall), width, tall, PALE, "none")
        thick = max(width / H, 0.035)
        box(axes, (x + width * (unit + 0.5) / H - thick / 2, top - tall), thick, tall, CHOSEN, "none")
        share = f"column {unit}:\nunit {unit}'s share\nof h[t]"
        label(axes, x + width / 2, top - tall - 0.3, share, size=8.5, va="top")
    column = f" + {P:,}" if P else ""
    own = f"Unit {unit} alone: 4 × ({I:,} + {R:,} + 2){column} = {4 * (I + R + 2) + P:,} numbers."
    total = tensors(Anatomy(H, I, 1, P))["parameters"].sum()
    others = "TensorFlow keeps" if P else "Keras and TensorFlow keep"
    label(axes, 0.0, 0.4, own, ha="left")
    whole = f"The layer: {total:,} in PyTorch. {others} one bias, not two: {4 * H:,} fewer."
    label(axes, 0.0, 0.17, whole, ha="left")


def draw_recording(axes: Axes, anatomy: Anatomy, unit: int) -> None:
    """Draw the block of recorded values with one unit's slice, and why features are no axis of it."""
    H, R = anatomy.units, anatomy.outputs
    x, y, wide, tall, deep, rise = 1.05, 1.95, 2.0, 1.45, 0.5, 0.36
    thick = max(tall / H, 0.045)
    low = min(max(y + tall * (1 - (unit + 0.5) / H) - thick / 2, y), y + tall - thick)

    def face(corner: float, height: float, colour: str) -> None:
        """Draw the front from `corner` up, and the side that belongs to it."""
        box(axes, (x, corner), wide, height, colour)
        ends = [(x + wide, corner), (x + wide, corner + height)]
        behind = [(a + deep, b + rise) for a, b in reversed(ends)]
        axes.add_patch(Polygon(ends + behind, facecolor=colour, edgecolor=INK, lw=0.9, zorder=2))

    face(y, tall, PALE)
    face(low, thick, CHOSEN)
    upper = y + tall
    lid = [(x, upper), (x + wide, upper), (x + wide + deep, upper + rise), (x + deep, upper + rise)]
    axes.add_patch(Polygon(lid, facecolor=CHOSEN if unit == 0 else "white", edgecolor=INK, lw=0.9, zorder=2))
    label(axes, x - 0.08, low + thick / 2, f"unit {unit}", ha="right")
    label(axes, 0.12, y + tall / 2, f"{H:,} unit{'s' * (H > 1)}", rotation=90)
    label(axes, x + wide / 2, y - 0.15, "time →")
    label(axes, x + wide + deep / 2 + 0.12, y + 0.04, "sequences", ha="left")

    label(axes, 3.85, 3.55, "c  i  f  g  o", size=10.5, weight="bold", ha="left")
    label(axes, 4.83, 3.55, "a block each", ha="left", color=GREY)
    label(axes, 3.85, 3.33, f"(sequence, time, {H})", ha="left")
    label(axes, 3.85, 2.97, "h", size=10.5, weight="bold", ha="left")
    label(axes, 3.85, 2.75, f"(sequence, time, {R})", ha="left")
    if anatomy.projection:
        mixed = "mixtures: no column\nis one unit's own"
        label(axes, 3.85, 2.54, mixed, size=8, ha="left", va="top", color=GREY)

    label(axes, 0.0, 1.42, "Why is there no axis for the input features?", size=9.5, weight="bold", ha="left")
    height = 0.92
    for name, n, centre, colour in (("x[t]", anatomy.inputs, 0.68, INPUT), ("h[t-1]", R, 2.18, OUTPUT)):
        sketch.strip(axes, centre, height - 0.13, n, colour, cell=0.16)
        label(axes, centre, height - 0.32, name)
    arrow(axes, (2.92, height), (3.32, height))
    sketch.circle(axes, (3.5, height), 0.18, MEMORY, "Σ")
    label(axes, 3.5, height - 0.32, f"times row {unit}")
    arrow(axes, (3.68, height), (4.45, height))
    box(axes, (4.45, height - 0.15), 0.3, 0.3, GATES["i"])
    label(axes, 4.85, height, f"i[t, {unit}]", ha="left")
    label(axes, 4.6, height - 0.32, "one number")
    words = f"Each gate first adds up all {anatomy.inputs:,} + {R:,} numbers, weighted, into one."
    label(axes, 0.0, 0.17, words, ha="left")
