"""The benchmark of methods on networks with known answers: what each of them finds, misses and makes up.

A method is given a network and its data, and nothing of how it was made. It answers up to two questions: which unit
holds which signal, and which target needs which unit. What is right was planted, and confirmed by brute force.

>>> import lstm_probe as lp
>>> import pandas as pd
>>> def largest_weights(model, batch):
...     rows, start = [], 0
...     for target in batch.target_specs:
...         sizes = model.readout.weight[start : start + target.size].norm(dim=0).tolist()
...         rows += [("needed", unit, target.name, size) for unit, size in enumerate(sizes)]
...         start += target.size
...     return pd.DataFrame(rows, columns=["question", "unit", "name", "score"])
>>> table = lp.truth.evaluate(largest_weights, cases=lp.truth.cases(knobs=["copies"], seeds=1))
>>> dict(zip(table.level, table.auroc.round(2)))
{'halves': 1.0, 'or': 0.67, 'majority': 0.62}
"""

from lstm_probe.truth.cases import KNOBS as KNOBS
from lstm_probe.truth.cases import Case, cases
from lstm_probe.truth.evaluation import COLUMNS as COLUMNS
from lstm_probe.truth.evaluation import evaluate, words
from lstm_probe.truth.interchange import gate, train_map
from lstm_probe.truth.methods import METHODS as METHODS
from lstm_probe.truth.methods import Method as Method
from lstm_probe.truth.summary import summarize, told_apart
from lstm_probe.truth.trained import Trained, trained_networks

__all__ = [
    "Case", "Trained", "cases", "evaluate", "gate", "summarize", "told_apart", "train_map", "trained_networks", "words",
]  # fmt: skip
