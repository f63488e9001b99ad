"""Mutants of sufficient sets: leaving out, halves, the check, and the picture."""

from .mutant import Mutant

SETS = tuple(f"tests/causal/test_sufficient{part}.py" for part in ("", "_checked", "_passes"))
FIGURE = ("tests/figures/test_sufficient.py",)

MUTANTS = (
    Mutant("sufficient.the-best-of-all-targets", "lstm_probe/causal/elimination.py",
           "ALL: float(np.min(list(shares.values())))", "ALL: float(np.max(list(shares.values())))", SETS),
    Mutant("sufficient.a-block-that-costs-goes-too", "lstm_probe/causal/elimination.py",
           "failed, size = start + len(block), len(block) // 2",
           "start, failed, size = start + len(block), 0, 1", SETS),
    Mutant("sufficient.those-that-stayed-are-not-tried-again", "lstm_probe/causal/elimination.py",
           "for size in (first, 1):", "for size in (first,):", SETS),
    Mutant("sufficient.passes-are-made-again", "lstm_probe/causal/elimination.py",
           "if which not in self._known:", "if True:", SETS),
    Mutant("sufficient.shares-as-they-are", "lstm_probe/causal/elimination.py",
           "left[name] / self._intact[name] if", "left[name] if", SETS),
    Mutant("sufficient.the-costliest-first", "lstm_probe/causal/sufficient.py",
           "orders = {name: sorted(shares.runs.keys, key=costs[name].__getitem__)",
           "orders = {name: sorted(shares.runs.keys, key=costs[name].__getitem__, reverse=True)", SETS),
    Mutant("sufficient.without-a-reserve", "lstm_probe/causal/sufficient.py",
           "keep + RESERVE * (1 - keep)", "keep", SETS),
    Mutant("sufficient.checked-where-it-was-chosen", "lstm_probe/causal/halves.py",
           "sequences = self.split()[1]", "sequences = self.split()[0]", SETS),
    Mutant("sufficient.groups-torn-apart", "lstm_probe/causal/halves.py",
           "blocks = np.arange(n) if groups is None else groups", "blocks = np.arange(n)", SETS),
    Mutant("sufficient.constants-of-the-half", "lstm_probe/causal/halves.py",
           'self._anew(batch, codes) if self.runs.mode == "resample" else self.runs.on(batch)',
           "self._anew(batch, codes)", SETS),
    Mutant("sufficient.an-interval-of-half-of-the-samples", "lstm_probe/causal/halves.py",
           "(0.025, 0.975)", "(0.25, 0.75)", SETS),
    Mutant("sufficient.no-width-where-all-is-right", "lstm_probe/causal/halves.py",
           "if len(least) > 1 and blocks and counted:", "if False:", SETS),
    Mutant("sufficient.spread-of-the-sorted-order-alone", "lstm_probe/causal/sufficient.py",
           "for place in rng.permutation(n)]", "for place in range(n)]", SETS),
    Mutant("sufficient.a-target-that-was-not-learned", "lstm_probe/causal/sufficient.py",
           "if score >= LEARNED)", "if True)", SETS),
    Mutant("sufficient.drawn-by-order", "lstm_probe/figures/sufficient.py",
           'left = len(own) - own["order"]', 'left = own["order"]', FIGURE),
    Mutant("sufficient.all-as-thin-as-each", "lstm_probe/figures/sufficient.py", '"lw": 2.6', '"lw": 1.3', FIGURE),
)  # fmt: skip
