"""Mutants of probing: what is held out, scores, nulls, intervals, baselines."""

from .mutant import Mutant

RIDGE = ("tests/probing/fits/test_ridge.py",)
SPLINES = ("tests/probing/fits/test_splines.py",)
SCORES = ("tests/probing/inference/test_scores.py",)
NULLS = ("tests/probing/inference/test_nulls.py",)
INTERVALS = ("tests/probing/inference/test_intervals.py",)
BASELINES = ("tests/probing/inference/test_baselines.py",)
SPLIT = ("tests/probing/data/test_split.py",)
VIEW = ("tests/probing/data/test_view.py",)
LABELS = ("tests/probing/test_labels.py",)
SIGNALS = ("tests/probing/data/test_signals.py",)
CIRCULAR = ("tests/probing/test_circular.py",)
CONJUNCTIONS = ("tests/probing/analyses/test_conjunctions.py",)
_ROOM = "lstm_probe/probing"

MUTANTS = (
    Mutant("probing.a-training-part-holds-its-own-fold", f"{_ROOM}/data/split.py",
           "for g in folds if g != f)", "for g in folds if g != f or f == 0)", SPLIT),
    Mutant("probing.folds-of-neighbours", f"{_ROOM}/data/split.py",
           '.permutation(sequences)\n', '.permutation(1)[0] + np.arange(sequences)\n', SPLIT),
    Mutant("probing.ridge-fits-all-folds", f"{_ROOM}/fits/ridge.py",
           "Gram(np.stack([self.without(k) for", "Gram(np.stack([self.without() for", RIDGE),
    Mutant("probing.penalties-chosen-on-the-held-out-fold", f"{_ROOM}/fits/ridge.py",
           "for outer, inner in (pair, pair[::-1]):", "for outer, inner in ((g, g) for g in pair):", RIDGE),
    Mutant("probing.inner-fits-see-their-validation", f"{_ROOM}/fits/ridge.py",
           "gram.without(*pair) for pair", "gram.without(pair[0]) for pair", RIDGE),
    Mutant("probing.one-penalty-for-all-columns", f"{_ROOM}/fits/ridge.py",
           "= PENALTIES[errors.argmin(1)]",
           "= np.broadcast_to(PENALTIES[errors.sum(2).argmin(1)][:, None], (folds, columns)).copy()", RIDGE),
    Mutant("probing.the-worst-penalty", f"{_ROOM}/fits/ridge.py",
           "errors.argmin(1)", "errors.argmax(1)", RIDGE),
    Mutant("probing.ridge-without-an-intercept", f"{_ROOM}/fits/ridge.py",
           'mean[:, u:] - np.einsum("fu,fud->fd", mean[:, :u], coefficients)', "0 * mean[:, u:]", RIDGE),
    Mutant("probing.units-fitted-on-their-own-fold", f"{_ROOM}/fits/moments.py",
           "sequences.map(split.sums).map(split.training)", "sequences.map(split.sums)", SCORES),
    Mutant("probing.a-slope-that-ignores-the-mean", f"{_ROOM}/fits/moments.py",
           "slope = (training.xy - mean_x * training.y)", "slope = (training.xy)", SCORES),
    Mutant("probing.orientation-from-the-held-out-fold", f"{_ROOM}/inference/scores.py",
           "np.sign(Split.training(excess))", "np.sign(excess)", SCORES),
    Mutant("probing.every-unit-ranks-high", f"{_ROOM}/inference/scores.py",
           "np.sign(Split.training(excess))", "np.ones_like(excess)", SCORES),
    Mutant("probing.the-sign-turned", f"{_ROOM}/inference/scores.py",
           "np.sign(Split.training(excess))", "-np.sign(Split.training(excess))", SCORES),
    Mutant("probing.ties-by-their-lowest-rank", f"{_ROOM}/inference/scores.py",
           "first % n + (length + 1) / 2", "first % n + length ** 0", SCORES),
    Mutant("probing.ranks-across-folds", f"{_ROOM}/inference/scores.py",
           "np.where(view.mask, view.split.fold[:, None], -1)", "np.where(view.mask, 0, -1)", SCORES),
    Mutant("probing.padding-is-ranked", f"{_ROOM}/inference/scores.py",
           "np.where(view.mask, view.split.fold[:, None], -1)",
           "np.where(view.mask, view.split.fold[:, None], view.split.fold[:, None])", SCORES),
    Mutant("probing.an-auroc-of-single-folds", f"{_ROOM}/inference/scores.py",
           "(sign * excess).sum(0) / np.maximum(pairs.sum(0), 1)",
           "(sign * excess / np.maximum(pairs, 1)).mean(0)", SCORES),
    Mutant("probing.effects-below-chance", "lstm_probe/core/scale.py",
           "np.maximum(0, np.where(", "(np.where(", ("tests/core/test_scale.py",)),
    Mutant("probing.the-auroc-is-its-own-effect", "lstm_probe/core/scale.py",
           "scores, 2 * scores - 1)", "scores, scores)", ("tests/core/test_scale.py",)),
    Mutant("probing.rounding-breaks-ties", f"{_ROOM}/inference/evaluate.py",
           "np.round(predictions[..., view.classes], DECIMALS)", "predictions[..., view.classes]", SCORES),
    Mutant("probing.the-lag-the-other-way", f"{_ROOM}/data/view.py",
           "[:, : max(0, signal.values.shape[1] - lag)]", "[:, lag:]", VIEW),
    Mutant("probing.units-of-the-first-steps-of-a-lag", f"{_ROOM}/data/view.py",
           ".numpy()[:, self.lag :]", ".numpy()[:, : values.shape[1] - self.lag]",
           VIEW),
    Mutant("probing.a-mask-that-forgets-the-lag", f"{_ROOM}/data/view.py",
           "np.arange(lag, time) < lengths[:, None]", "np.arange(time - lag) < lengths[:, None]", VIEW),
    Mutant("probing.unlabelled-steps-count", f"{_ROOM}/data/view.py",
           "mask = signals[0].among(Steps.real(lengths, time, split, lag).mask)",
           "mask = Steps.real(lengths, time, split, lag).mask", LABELS),
    Mutant("probing.groups-torn-by-folds", f"{_ROOM}/data/split.py",
           "return cls(cls.make(len(levels), folds, seed).fold[own])", "return cls.make(sequences, folds, seed)",
           SPLIT),
    Mutant("probing.labels-stay-in-the-null", f"{_ROOM}/inference/nulls.py",
           "if self.labels is None:", "if True:", LABELS),
    Mutant("probing.labels-of-classes-stay-in-the-null", f"{_ROOM}/inference/nulls.py",
           "excess=(shuffled.excess - less) * share", "excess=shuffled.excess * share", LABELS),
    Mutant("probing.padding-shifts-the-mean", f"{_ROOM}/data/view.py",
           "    out[padded] = 0\n    out -= out.sum((0, 1)) / n\n", "    out -= out.mean((0, 1))\n", SCORES),
    Mutant("probing.text-is-continuous", "lstm_probe/core/kinds.py",
           'if dtype.kind in "US":\n        return "categorical"',
           'if dtype.kind in "US":\n        return "continuous"',
           SIGNALS),
    Mutant("probing.labels-without-a-limit", "lstm_probe/core/kinds.py",
           "MOST_LABELS = 10", "MOST_LABELS = 11", SIGNALS),
    Mutant("probing.levels-of-padding-count", f"{_ROOM}/data/signals.py",
           "levels = np.unique(values[labelled])", "levels = np.unique(values)", SIGNALS),
    Mutant("probing.a-cosine-that-hardly-moves-counts-like-its-sine", f"{_ROOM}/data/view.py",
           "np.where(angles, np.maximum(", "np.where(False, np.maximum(", CIRCULAR),
    Mutant("probing.degrees-are-taken-for-radians", "lstm_probe/core/given.py",
           "if beyond.any():", "if False:", CIRCULAR),
    Mutant("probing.an-angle-has-no-cosine", f"{_ROOM}/data/signals.py",
           "np.cos(self.values)]", "np.sin(self.values)]", CIRCULAR),
    Mutant("probing.a-sum-is-a-conjunction", f"{_ROOM}/analyses/conjunctions.py",
           "left = products - known @", "left = products - 0 * known @", CONJUNCTIONS),
    Mutant("probing.a-conjunction-need-not-beat-the-input", f"{_ROOM}/analyses/conjunctions.py",
           'BASELINES = ("input_only", ', "BASELINES = (", CONJUNCTIONS),
    Mutant("probing.pairs-without-a-maximum-over-products", f"{_ROOM}/analyses/conjunctions.py",
           "out[key].append(values.max(1))", "out[key].append(values.min(1))", CONJUNCTIONS),
)  # fmt: skip
