"""Published results, measured again: what was published, how it is computed here, and when it counts as reproduced.

`num_units/` answers a question instead: what num_units means, and how many are needed, as a page made from runs.

Nothing is imported here, so that the command line knows all names at once: `results.py` has all results.
"""

#: The name of every result, in the order in which they are listed.
KEYS = (
    "dyck1", "shuffle2", "anbn", "anbncn", "fewest", "flipflop", "universality", "parity", "temporal_order", "reber",
    "adding", "copy_memory", "recall", "evidence", "bits", "bounded_dyck", "untrained", "parameters", "agreement",
    "python_source", "zero_ablation", "selectivity", "label_units", "chrono", "counters", "continual",
    "forget_gate",
)  # fmt: skip

#: The question that is answered by a page, and is no published result; the sizes of its networks.
NUM_UNITS = "num_units"
SIZES = (1, 2, 4, 8, 16, 32, 64)
