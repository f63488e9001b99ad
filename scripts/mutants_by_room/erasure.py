"""Mutants of erasure and steering: the map, what is left, controls, moves, and what is said of them."""

from .mutant import Mutant

LEACE = ("tests/causal/test_leace.py",)
ERASURE = ("tests/causal/test_erasure.py",)
STEERING = ("tests/causal/test_steering.py",)
FINDINGS = ("tests/findings/test_erasure.py",)
FIGURE = ("tests/figures/test_erasure.py",)
_ROOM = "lstm_probe/causal"

MUTANTS = (
    Mutant("erasure.not-whitened", f"{_ROOM}/leace.py",
           "(vectors * roots) @ U, (vectors / roots @ U).T", "vectors @ U, (vectors @ U).T", LEACE),
    Mutant("erasure.rounding-is-inverted", f"{_ROOM}/leace.py", "FLAT = 1e-10", "FLAT = 0.0", LEACE),
    Mutant("erasure.noise-is-a-trace", f"{_ROOM}/leace.py", "U = U[:, s > TRACE]", "U = U[:, s > -1]", LEACE),
    Mutant("erasure.what-is-left-is-sought-where-it-was-fitted", f"{_ROOM}/decodable.py",
           "(products.sum(0) - products) / rest", "products.sum(0) / self._n.sum()", LEACE),
    Mutant("erasure.the-worst-penalty", f"{_ROOM}/decodable.py", "missed.min()", "missed.max()", LEACE),
    Mutant("erasure.fitted-on-all", f"{_ROOM}/erasing.py",
           "rows = torch.nonzero(at.sequences < self.pair.fitted)[:, 0]",
           "rows = torch.nonzero(at.sequences >= 0)[:, 0]", ERASURE),
    Mutant("erasure.unlabelled-steps-are-zeros", f"{_ROOM}/erasing.py",
           "rows = rows[self.known.at(at.step, at.sequences[rows])]", "pass", ERASURE),
    Mutant("erasure.controls-are-fitted-on-padding", f"{_ROOM}/erasing.py",
           "rows = rows[self.pair.batch.mask[at.sequences[rows], at.step]]", "pass",
           ("tests/causal/test_padding.py",)),
    Mutant("flow.what-is-left-behind-the-end-counts", "lstm_probe/dynamics/exchanging.py",
           "real = self.rec.mask[at.sequences, at.step]", "real = torch.ones_like(at.sequences, dtype=torch.bool)",
           ("tests/causal/test_padding.py",)),
    Mutant("erasure.h-keeps-what-c-lost", f"{_ROOM}/erasing.py",
           "state = dict(zip(at.cell.state, at.with_memory(self._without(at, memory, at.memory))))",
           "state[memory] = self._without(at, memory, at.memory)", ERASURE),
    Mutant("erasure.fitted-once-anyway", f"{_ROOM}/erasing.py", "if not self.once:", "if False:", ERASURE),
    Mutant("erasure.one-direction-for-all-controls", f"{_ROOM}/erasing.py",
           '"erasure controls", rank, number, *key', '"erasure controls", rank, *key', ERASURE),
    Mutant("erasure.few-sequences-are-enough", f"{_ROOM}/erasing.py", "FEWEST = 50", "FEWEST = 5", ERASURE),
    Mutant("erasure.gone-at-the-mean", f"{_ROOM}/erasure.py",
           '"gone": worst <= GONE and seen >= SEEN', '"gone": worst <= GONE', ERASURE),
    Mutant("erasure.controls-that-cost-less", f"{_ROOM}/erasure.py",
           "(others <= own + ROUNDING)", "(others >= own - ROUNDING)", ERASURE),
    Mutant("erasure.a-share-of-the-perfect-score", f"{_ROOM}/scoring.py",
           "np.divide(left, intact,", "np.divide(left, 1,", ERASURE),
    Mutant("erasure.groups-torn-apart", f"{_ROOM}/beside.py",
           'halves_of(len(batch), codes, derive_seed(seed, "sequences to fit on"), FITTED)',
           'halves_of(len(batch), None, derive_seed(seed, "sequences to fit on"), FITTED)', ERASURE),
    Mutant("steering.along-the-weights", f"{_ROOM}/probe_direction.py",
           "Direction(covariance @ w / seen,", "Direction(w / (w @ w),", STEERING),
    Mutant("steering.random-directions-of-any-length", f"{_ROOM}/probe_direction.py",
           "(drawn * (self.length / drawn.norm()))", "drawn", STEERING),
    Mutant("steering.read-on-what-it-was-fitted-on", f"{_ROOM}/probe_direction.py",
           "rest = usable & ~first", "rest = usable & first", STEERING),
    Mutant("steering.an-upper-layer-sees-the-move-below", f"{_ROOM}/moving.py",
           "own, along = self._own[at.layer], parts", "own, along = at, parts", STEERING),
    Mutant("steering.sequences-that-ended-count", f"{_ROOM}/moving.py",
           "long = self.pair.looked.lengths > self.step + by", "long = self.pair.looked.lengths > 0", STEERING),
    Mutant("steering.one-step-late", f"{_ROOM}/moving.py",
           "steps, last = [self.step + by for", "steps, last = [self.step + by - 1 for", STEERING),
    Mutant("erasure.not-told-apart-is-told", "lstm_probe/findings/erasure.py",
           'if shown["p_value"] <= ALPHA:', "if True:", FINDINGS),
    Mutant("steering.few-directions-are-enough", "lstm_probe/findings/erasure.py",
           "return 1 / (1 + controls) > ALPHA", "return controls == 0", FINDINGS),
    Mutant("erasure.what-was-not-taken-out-is-told", "lstm_probe/findings/erasure.py",
           'elif not first["gone"]:', "elif False:", FINDINGS),
    Mutant("erasure.what-is-not-gone-is-drawn-alike", "lstm_probe/figures/erasure.py",
           'mfc=colour if row.gone else "white"', "mfc=colour", FIGURE),
)  # fmt: skip
