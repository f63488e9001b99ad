"""Runs an exported file in a process of its own, as somebody without lstm_probe does: PyTorch, Keras or ONNX.

Run by its own path, as `consumer.py ORDER`, ORDER being JSON: the paths of packages, the package that is to run the
file, the file, whether it needs lstm_probe, an `.npz` of inputs (one array for each length) and where an `.npz` of
outputs goes. The last line that is printed is JSON: {"by": WORDS}, {"absent": WHY} where the package cannot be used
here, or {"error": WHY}.
"""

import json
import os
import runpy
import sys
from collections.abc import Callable, Mapping
from typing import Any

Run = Callable[[Any], Mapping[str, Any]]


def torch(file: str) -> tuple[str, Run]:
    """Return words on who runs a module written beside its state dict, and a function from inputs to outputs."""
    import torch

    network = runpy.run_path(file)["load"]()

    def run(inputs: Any) -> Mapping[str, Any]:
        with torch.no_grad():
            return {"outputs": network(torch.from_numpy(inputs)).numpy()}

    return f"PyTorch {torch.__version__}", run


def keras(file: str) -> tuple[str, Run]:
    """Return the same of a Keras archive."""
    os.environ.setdefault("KERAS_BACKEND", "torch")  # the one that is there
    import keras

    if int(keras.__version__.partition(".")[0]) < 3:
        raise ImportError(f"Keras {keras.__version__} is older than 3")
    model = keras.models.load_model(file, compile=False)
    who = f"Keras {keras.__version__} on {keras.backend.backend()}"
    return who, lambda inputs: {"outputs": keras.ops.convert_to_numpy(model(inputs, training=False))}


def onnxruntime(file: str) -> tuple[str, Run]:
    """Return the same of an ONNX model."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return f"onnxruntime {onnxruntime.__version__}", lambda inputs: dict(
        zip(names, session.run(names, {"inputs": inputs}))
    )


def onnx(file: str) -> tuple[str, Run]:
    """Return the same of an ONNX model, by the evaluator that the `onnx` package has for reference."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    model = ReferenceEvaluator(file)
    run: Run = lambda inputs: dict(zip(model.output_names, model.run(None, {"inputs": inputs})))  # noqa: E731
    return f"the reference evaluator of onnx {onnx.__version__}", run


def main(order: dict[str, Any]) -> dict[str, str]:
    """Run the file on each array of inputs, and return what became of it."""
    sys.path[:] = order["path"]  # where the parent finds its packages
    if not order["own"]:
        sys.modules["lstm_probe"] = None  # type: ignore[assignment]  # an import of it fails
    import numpy as np

    made: dict[str, Any] = {}
    try:
        by, run = {"torch": torch, "keras": keras, "onnxruntime": onnxruntime, "onnx": onnx}[order["package"]](
            order["file"]
        )
        with np.load(order["inputs"]) as given:
            for length in given.files:
                made |= {f"{length} {name}": array for name, array in run(given[length]).items()}
    except (ImportError, NotImplementedError) as error:
        return {"absent": f"{error}"}
    except Exception as error:  # whatever a library says of a file
        return {"error": f"{type(error).__name__}: {error}"}
    np.savez(order["outputs"], **made)
    return {"by": by}


if __name__ == "__main__":
    print("\n" + json.dumps(main(json.loads(sys.argv[1]))))
