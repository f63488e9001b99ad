"""Mutants of checkpoints along training, of what is said of them, and of averages around events."""

from .mutant import Mutant

SNAPSHOTS = ("tests/network/test_snapshots.py",)
LEARNING = ("tests/probing/analyses/test_learning.py",)
ALIGNED = ("tests/probing/analyses/test_aligned.py",)
_LEARNING = "lstm_probe/probing/analyses/learning.py"
_ALIGNED = "lstm_probe/probing/analyses/aligned.py"
_EVENTS = "lstm_probe/probing/data/events.py"

MUTANTS = (
    Mutant("learning.copies-that-share-their-memory", "lstm_probe/network/training.py",
           'v.detach().to("cpu", copy=True)', 'v.detach().to("cpu")', SNAPSHOTS),
    Mutant("learning.the-end-is-not-kept", "lstm_probe/network/training.py",
           "        if keep:\n            self.keep()\n", "", SNAPSHOTS),
    Mutant("learning.kept-before-the-update", "lstm_probe/network/training.py",
           "if self.step in keep:\n                    self.keep()\n                if",
           "if self.step + 1 in keep:\n                    self.keep()\n                if", SNAPSHOTS),
    Mutant("learning.what-was-kept-is-forgotten", "lstm_probe/network/training.py",
           "        self.kept = kept\n", "", SNAPSHOTS),
    Mutant("learning.copies-in-training-mode", "lstm_probe/network/snapshots.py",
           "copy.deepcopy(model).eval()", "copy.deepcopy(model)", SNAPSHOTS),
    Mutant("learning.acquired-when-first-above", _LEARNING,
           "return backward & (curves[effect]", "return (curves[effect]", LEARNING),
    Mutant("learning.told-at-the-end-is-enough", _LEARNING,
           "sort=False).cummin()[::-1]", "sort=False).cummax()[::-1]", LEARNING),
    Mutant("learning.a-bar-without-baselines", _LEARNING,
           ", min_effect_class), beyond)", ", min_effect_class), 0)", LEARNING),
    Mutant("learning.surely-without-an-interval", _LEARNING,
           'since(curves, "ci_low")', "since(curves)", LEARNING),
    Mutant("learning.not-yet-without-an-interval", _LEARNING,
           '(curves["ci_high"] < curves["bar"])', '(curves["effect"] < curves["bar"])', LEARNING),
    Mutant("learning.one-unit-below-is-enough", _LEARNING,
           '(*_SIGNAL, "update")]).all()', '(*_SIGNAL, "update")]).any()', LEARNING),
    Mutant("learning.told-earlier-does-not-count", _LEARNING,
           "never = none.groupby(_SIGNAL).cummin()", "never = none", LEARNING),
    Mutant("learning.a-unit-that-tracks-nothing-came-first", _LEARNING,
           '(since(curves, "ci_low") & curves["tracks"])', '(since(curves, "ci_low"))', LEARNING),
    Mutant("learning.sentences-of-what-is-not-tracked", _LEARNING,
           'own[own["tracks"].astype(bool)]', "own", LEARNING),
    Mutant("aligned.a-step-too-late", _ALIGNED,
           "offsets = np.arange(-before, after + 1)", "offsets = np.arange(-before, after + 1) + 1", ALIGNED),
    Mutant("aligned.padding-counts", _ALIGNED,
           "(place < lengths[sequence][:, None])", "(place < mask.shape[1])", ALIGNED),
    Mutant("aligned.before-the-first-step", _ALIGNED, "(place >= 0) & ", "", ALIGNED),
    Mutant("aligned.events-are-the-sample", _ALIGNED,
           "clusters[sequence[own]])", "np.arange(own.sum()))", ALIGNED),
    Mutant("aligned.a-normal-interval", _ALIGNED,
           "student(0.975, np.where(many > 1, many - 1, np.nan))", "student(0.975, np.inf)", ALIGNED),
    Mutant("aligned.no-correction-for-few", _ALIGNED,
           "* many / np.where(many > 1, many - 1, np.nan)", "* many / many", ALIGNED),
    Mutant("aligned.an-onset-is-any-change", _EVENTS,
           'if kind == "binary" and edge != "change" and len(levels) == 2:', "if False:", ALIGNED),
    Mutant("aligned.a-change-from-nowhere", _EVENTS,
           "(before != now) & known[:, :-1] & known[:, 1:]", "(before != now) & known[:, 1:]", ALIGNED),
    Mutant("aligned.conditions-that-are-numbers", _EVENTS,
           "if kind in NUMBERS and len(levels) > 1:", "if False:", ALIGNED),
    Mutant("aligned.the-condition-of-the-first-step", _EVENTS,
           "if (mask & (conditions.codes != first[:, None])).any():", "if False:", ALIGNED),
    Mutant("aligned.bins-of-each-condition", "lstm_probe/probing/analyses/tuning.py",
           "inside *= among[:, view.lag :, None]", "inside *= among[:, : among.shape[1] - view.lag, None]", ALIGNED),
)  # fmt: skip
