"""What a method is: a function of a model and a batch, whose it is, and what it does, in a sentence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch

#: Gives a row for each answer: question ("holds" or "needed"), unit, name (of a signal or target), score, and, where
#: the method says so itself, verdict (true, false, or None for neither).
Function = Callable[[nn.Module, Batch], pd.DataFrame]


@dataclass(frozen=True)
class Method:
    """A method of the benchmark.

    Attributes:
        function: gives its answers: see `Function`.
        ours: whether it is one of this package.
        says: what it is, and from which library, in a short sentence.
    """

    function: Function
    ours: bool
    says: str

    def __call__(self, model: nn.Module, batch: Batch) -> pd.DataFrame:
        """Return its answers."""
        return self.function(model, batch)


def answers(question: str, table: pd.DataFrame, name: str, score: str, verdict: Any = None) -> pd.DataFrame:
    """Return a method's rows.

    Args:
        question: "holds" or "needed".
        table: with a column `unit`.
        name: the column with names of signals or targets.
        score: the column with scores.
        verdict: true, false or None for each row; None where the method has no verdicts.
    """
    made = pd.DataFrame({"question": question, "unit": table["unit"], "name": table[name], "score": table[score]})
    if verdict is not None:
        made["verdict"] = np.asarray(verdict, dtype=object)
    return made


def asked(batch: Batch) -> dict[str, Signal]:
    """Return the signals that are asked for: all but the step index."""
    return {name: signal for name, signal in batch.signals.items() if name != "step"}
