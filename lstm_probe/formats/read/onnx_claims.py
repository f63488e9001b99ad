"""What an ONNX file asks for, set against the budget of `reading` before it is given."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstm_probe.core.budget import size_of_regular, spend


def load_model(path: Path) -> Any:
    """Return an ONNX model with the data that it keeps beside itself."""
    import onnx
    from onnx import external_data_helper as beside

    spend(path.stat().st_size, "its graph")
    model = onnx.load(str(path), format="protobuf", load_external_data=False)
    for tensor in beside._get_all_tensors(model):
        if beside.uses_external_data(tensor):
            told = beside.ExternalDataInfo(tensor)
            size = size_of_regular(f"path={path}: {tensor.name}: {told.location}", path.parent / told.location)
            spend(size - (told.offset or 0) if told.length is None else told.length, tensor.name)
    beside.load_external_data_for_model(model, str(path.parent))
    return model


def folded_bytes(operator: str, attributes: Mapping[str, Any], given: Sequence[np.ndarray]) -> float:
    """Return how much the result of an operator that only moves values about takes, at most.

    Args:
        operator: Concat, Gather, Cast, DequantizeLinear, or one whose result is no larger than its first input.
        attributes: of the node.
        given: its inputs, one that is given twice twice.
    """
    if operator == "Concat":
        return sum(value.nbytes for value in given)
    if operator == "Gather":
        axis = attributes.get("axis", 0)
        return given[1].size * given[0].nbytes / max(int(given[0].shape[axis]), 1)
    return given[0].size * 16 if operator in ("Cast", "DequantizeLinear") else given[0].nbytes
