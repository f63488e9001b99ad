"""Mutants of how many units are used: parts of the data, the choice, random orders, dimension, pictures and words."""

from .mutant import Mutant

USED = ("tests/capacity/test_used.py",)
DIMENSION = ("tests/capacity/test_dimension.py",)
FIGURE = ("tests/figures/test_used.py",)
SIZES = ("tests/sizing/test_used.py",)
WORDS = ("tests/findings/test_need_words.py",)

MUTANTS = (
    Mutant("used.chosen-where-it-was-fitted", "lstm_probe/capacity/used.py",
           "choose = Scores(parts.choose, model, names)", "choose = Scores(parts.fit, model, names)", USED),
    Mutant("used.checked-where-it-was-chosen", "lstm_probe/capacity/used.py",
           "checks = Scores(parts.check, model, names, counts)", "checks = Scores(parts.choose, model, names)", USED),
    Mutant("used.without-a-reserve", "lstm_probe/capacity/used.py", "keep + RESERVE * (1 - keep)", "keep", USED),
    Mutant("used.every-target-in-the-order-of-all", "lstm_probe/capacity/used.py",
           "merging.order(None if name == ALL else name)", "merging.order()", USED),
    Mutant("used.random-orders-are-the-units", "lstm_probe/capacity/used.py",
           "rng.permutation(units).tolist()", "list(range(units))", USED),
    Mutant("used.numbers-after-the-exact-cuts", "lstm_probe/capacity/curves.py",
           "sorted(self.exact[part].kept[unit] for unit in units)", "sorted(units)", USED),
    Mutant("used.the-best-of-all-targets", "lstm_probe/capacity/curves.py",
           "return min(float(samples[one][0]", "return max(float(samples[one][0]", USED),
    Mutant("used.all-outputs-of-a-target", "lstm_probe/capacity/greedy.py",
           "own = outputs[..., self.columns]", "own = outputs", USED),
    Mutant("used.a-code-that-turns-counts-often", "lstm_probe/capacity/dimension.py",
           "for k in range(2, held.shape[1] + 1)", "for k in range(1, 2)", DIMENSION),
    Mutant("used.bits-of-the-fit", "lstm_probe/capacity/dimension.py",
           "test[halves[1]] = known[halves[0]], known[halves[1]]",
           "test[halves[0]] = known[halves[0]], known[halves[0]]", DIMENSION),
    Mutant("used.bits-without-the-entropy-of-what-came", "lstm_probe/capacity/dimension.py",
           "entropy = -(frequent * np.log2(frequent)).sum()", "entropy = np.log2(len(frequent))", DIMENSION),
    Mutant("used.bits-of-what-goes-together", "lstm_probe/capacity/dimension.py", "<= most).all())", "<= 2).all())",
           DIMENSION),
    Mutant("used.near-copies-of-one-sign", "lstm_probe/capacity/dimension.py",
           "near = np.abs(unit.T @ unit) > NEAR", "near = unit.T @ unit > NEAR", DIMENSION),
    Mutant("used.unread-are-carried", "lstm_probe/capacity/exact.py",
           "int(read[part].sum()) - len(fold.kept)", "len(read[part]) - len(fold.kept)", DIMENSION),
    Mutant("used.a-band-of-the-mean", "lstm_probe/figures/used.py", 'over["min"], over["max"]',
           'over["mean"], over["max"]', FIGURE),
    Mutant("used.what-did-not-learn-counts", "lstm_probe/sizing/used.py",
           ' and all(run.info["learned"].values())', "", SIZES),
    Mutant("used.as-many-is-more", "lstm_probe/sizing/used.py", "sign * (large - small) > 0",
           "sign * (large - small) >= 0", SIZES),
    Mutant("used.less-than-was-asked-is-not-said", "lstm_probe/findings/need_words.py",
           "if round(100 * used.checked, 1) < 100 * used.keep:", "if False:", WORDS),
)  # fmt: skip
