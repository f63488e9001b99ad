"""What is shown of a recording, in memory or on disk, where somebody looks at it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lstm_probe.core.numbers import many, short
from lstm_probe.core.shown import SmallTable, Told, sequences_words, shape_words, tensor_words

if TYPE_CHECKING:
    from lstm_probe.recorder.agreement import Check
    from lstm_probe.recorder.config import LSTMConfig
    from lstm_probe.recorder.data import LayerRecording, Recording

#: So many layers and directions have a line of their own.
MOST_PARTS = 4


def recording_told(rec: "Recording") -> Told:
    """Return what is said of a recording in memory."""
    if not rec.parts:
        return Told("Recording: nothing yet; it is there when the `with` block has ended")
    parts = list(rec.parts.values())
    what = f"Recording: {sequences_words(rec.lengths, rec.inputs.shape[1])}, {tensor_words(rec.inputs)}"
    lines = [_part_words(part, rec.config) for part in parts[:MOST_PARTS]]
    left = len(parts) - MOST_PARTS
    lines += [f"and {left} more layer{'s' if left > 1 else ''} or directions"] if left > 0 else []
    lines.append(check_words(rec.checks))
    rows = [(part.layer, part.direction, " ".join(part.variables), *_shapes(part), shape_words(part.inputs))
            for part in parts]  # fmt: skip
    units = " ".join(v for v in parts[0].variables if v != "h") or "-"
    header = ("layer", "direction", "recorded", units, "h", "inputs")
    called = "rec" if len(parts) == 1 else "rec[0]"
    memory = f"{called}.{rec.config.cell.memory} is the memory, (sequence, time, unit)"
    more = [f"{memory}; rec.to_frame() and rec.to_xarray() have everything."]
    return Told(what, lines, [SmallTable(header, rows), _meanings(parts[0])], below=more)


def layer_told(part: "LayerRecording") -> Told:
    """Return what is said of one layer."""
    rows = [(v, shape_words(part[v]), part.cell.meanings[v]) for v in part.variables]
    title = f"Layer {part.layer} {part.direction} of a recording: {' '.join(part.variables) or 'nothing recorded'}"
    units = next((part[v] for v in part.variables if v != "h"), None)
    size = [] if units is None else [f"{many(units.shape[-1], 'unit')}, {shape_words(units)} (sequence, time, unit)"]
    reads = f"reads {many(part.inputs.shape[-1], 'number')} a step; {tensor_words(part.inputs)}"
    return Told(title, [*size, reads], [SmallTable(("variable", "shape", "meaning"), rows)])


def _shapes(part: "LayerRecording") -> tuple[str, str]:
    units = next((shape_words(part[v]) for v in part.variables if v != "h"), "")
    return units, "" if part.h is None else shape_words(part.h)


def _part_words(part: "LayerRecording", config: "LSTMConfig") -> str:
    wide = many(config.units, "unit") + (f" (h projected to {config.projection})" if config.projection else "")
    reads = many(part.inputs.shape[-1], "input" if part.layer == 0 else "number")
    return f"layer {part.layer} {part.direction}: {' '.join(part.variables)} of {wide}, which read {reads}"


def _meanings(part: "LayerRecording") -> SmallTable:
    return SmallTable(("variable", "what it is"), [(v, part.cell.meanings[v]) for v in part.variables])


def check_words(checks: Sequence["Check"]) -> str:
    """Return how well a recording agrees with what the module itself returned."""
    if not checks:
        return "not compared with what a module returned (rec.check() has no rows)"
    worst = max(checks, key=lambda one: one.difference / one.tolerance)
    told = f"agrees with what the module returned: largest difference {short(worst.difference)}"
    return f"{told} (at most {short(worst.tolerance)} is allowed; rec.check() has each)"
