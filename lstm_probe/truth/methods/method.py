"""What a method is: a function of a model and a batch, whose it is, and what it does, in a sentence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from lstm_probe.core.kinds import Signal
from lstm_probe.core.signal import Batch

#: Gives a row for each answer: question (see `evaluation.QUESTIONS`), unit, name (of a signal or target), and score; of
#: networks of several layers also layer. Raises NotImplementedError, with why, for a network that it is not made for.
#: Where the method says it itself: verdict (true, false, or None for neither), word (what it says of the pair), and
#: lost, ci_low and ci_high (of the score that a target loses when the unit is held at its mean).
Function = Callable[[nn.Module, Batch], pd.DataFrame]

#: For which networks a method may have no answer.
NO_LAYERS, NO_PROJECTION = "not for layers", "not for projections"


@dataclass(frozen=True)
class Method:
    """A method of the benchmark.

    Attributes:
        function: gives its answers: see `Function`.
        ours: whether it is one of this package.
        says: what it is, and from which library, in a short sentence.
        library: that has to be installed besides; empty where none has.
        question: that it answers, where it has no answer for every network.
    """

    function: Function
    ours: bool
    says: str
    library: str = ""
    question: str = ""

    def __call__(self, model: nn.Module, batch: Batch) -> pd.DataFrame:
        """Return its answers."""
        return self.function(model, batch)


def answers(
    question: str, table: pd.DataFrame, name: str, score: str, verdict: Any = None, word: Any = None
) -> pd.DataFrame:
    """Return a method's rows.

    Args:
        question: see `evaluation.QUESTIONS`.
        table: with the columns `layer`, where there are several, and `unit`.
        name: the column with names of signals or targets.
        score: the column with scores.
        verdict: true, false or None for each row; None where the method has no verdicts.
        word: what the method says of each row; None where it has no words.
    """
    made = pd.DataFrame({"question": question, "unit": table["unit"], "name": table[name], "score": table[score]})
    if "layer" in table:
        made.insert(1, "layer", table["layer"])
    for column, own in (("verdict", verdict), ("word", word)):
        if own is not None:
            made[column] = np.asarray(own, dtype=object)
    return made


def asked(batch: Batch) -> dict[str, Signal]:
    """Return the signals that are asked for: all but the step index."""
    return {name: signal for name, signal in batch.signals.items() if name != "step"}
