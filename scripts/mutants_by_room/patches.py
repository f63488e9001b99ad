"""Mutants of interchange: who gives to whom, what is compared, which signal it goes with, and what is said of it."""

from .mutant import Mutant

PATCHES = ("tests/causal/test_patches.py",)
ENDS = ("tests/causal/test_patches_of_ends.py",)
MOVED = ("tests/causal/test_moved.py",)
DIRECTIONS = ("tests/causal/test_directions.py",)
CARDS = ("tests/findings/test_patches.py",)
RULES = ("tests/tasks/test_relabel.py",)
_ROOM = "lstm_probe/causal"

MUTANTS = (
    Mutant("patches.ends-are-looked-for-behind", f"{_ROOM}/pairing.py",
           "(scored == last).all(1, keepdim=True), end", "(scored == last).all(1, keepdim=True), table", ENDS),
    Mutant("patches.a-donor-gives-to-all-units", f"{_ROOM}/patching.py",
           "new[:, chosen] = other[:, chosen]", "new[:] = other", PATCHES),
    Mutant("patches.the-whole-state-is-the-memory-alone", f"{_ROOM}/patching.py",
           "return at.but({name: put(name, lambda _, other: other) for name in at.state})",
           "return at.with_memory(put(at.cell.memory, lambda _, other: other))", PATCHES),
    Mutant("patches.a-state-of-elsewhere-is-not-seen", f"{_ROOM}/patching.py",
           "self.spliced = False", "pass", PATCHES),
    Mutant("patches.backwards-is-looked-at-ahead", f"{_ROOM}/patching.py",
           'sign = 1 if direction == "forward" else -1', "sign = 1", PATCHES),
    Mutant("patches.classes-have-a-level", f"{_ROOM}/patching.py",
           "values - values.mean(-1, keepdim=True) if classes(self._spec(name)) else values", "values", PATCHES),
    Mutant("patches.an-output-that-does-not-count", f"{_ROOM}/pairing.py",
           "table = torch.where(scored, steps, time).flip(1)",
           "table = torch.where(scored | True, steps, time).flip(1)", PATCHES),
    Mutant("patches.a-rule-is-not-compared", f"{_ROOM}/patching.py",
           "if spec.name not in said or not torch.allclose(", "if False and not torch.allclose(", PATCHES),
    Mutant("patches.what-pairs-share-is-forgotten", f"{_ROOM}/moved.py",
           "both = one_way + _summed(influence * ~alone[:, None], donor, count)", "both = one_way", MOVED),
    Mutant("patches.a-pair-counts-twice", f"{_ROOM}/moved.py",
           "(both**2).sum(0) - (couples**2).sum(0)", "(both**2).sum(0)", MOVED),
    Mutant("patches.pairs-alike-are-not-taken-off", f"{_ROOM}/moved.py",
           "np.zeros_like(moved) if same is None else follows[same].mean(0)", "np.zeros_like(moved)", MOVED),
    Mutant("patches.few-movements-have-an-interval", f"{_ROOM}/moved.py",
           "half = half if _moving(y) * n >= LEAST_MOVING else none", "pass", MOVED),
    Mutant("patches.another-signal-is-not-asked", f"{_ROOM}/following.py",
           "if instead or own_high < PART * moved:", "if False:", PATCHES),
    Mutant("patches.twins-are-told-apart", f"{_ROOM}/moved.py",
           "alike.append(other.name)", "pass", PATCHES),
    Mutant("patches.still-outputs-move", f"{_ROOM}/following.py",
           "least = STILL**2 *", "least = 0 *", PATCHES),
    Mutant("patches.directions-of-any-length", f"{_ROOM}/directions.py",
           "basis: Tensor = left[:, sizes > RANK * sizes.max()]", "basis: Tensor = axes", DIRECTIONS),
    Mutant("patches.a-direction-is-tested-on-what-it-fitted", f"{_ROOM}/directions.py",
           "first, rest = _halves(len(batch), codes, seed)",
           "first, rest = torch.arange(len(batch)), torch.arange(len(batch))", DIRECTIONS),
    Mutant("patches.little-is-nothing", f"{_ROOM}/following.py",
           "< NOTHING * self.min_moved", "< self.min_moved", PATCHES),
    Mutant("patches.not-told-is-no", "lstm_probe/findings/patches.py",
           "if said == {NO}:", "if READS not in said:", CARDS),
    Mutant("patches.needed-for-something-else-is-not-said", "lstm_probe/findings/patches.py",
           "if tracks and not reads and needed & {*read}:", "if False:", CARDS),
    Mutant("patches.brackets-that-are-none-are-told", "lstm_probe/tasks/languages/dyck.py",
           "| ((symbols < 0) & (symbols != -before))", "", RULES),
    Mutant("patches.a-tie-has-an-answer", "lstm_probe/tasks/numbers/evidence.py",
           "top.values[..., 0] > top.values[..., 1]", "top.values[..., 0] >= top.values[..., 1]", RULES),
)  # fmt: skip
