"""Mutants of published results on single units, and on how gates begin."""

from .mutant import Mutant

ABLATING = ("tests/reproduce/test_ablating.py",)
CHRONO = ("tests/reproduce/test_chrono.py",)
_ABLATING = "lstm_probe/reproduce/ablating.py"
_REMEMBERING = "lstm_probe/reproduce/remembering.py"

MUTANTS = (
    Mutant("reproduce.all-classes-lose-what-one-does", _ABLATING,
           "float(right[classes == k].mean())", "float(right.mean())", ABLATING),
    Mutant("reproduce.what-is-left-is-what-is-lost", _ABLATING,
           "intact - accuracy(subject.outputs(units).outputs)", "accuracy(subject.outputs(units).outputs)", ABLATING),
    Mutant("reproduce.the-likeliest-verb-tells-the-number", _ABLATING,
           "outputs[:, number == one].logsumexp(1)", "outputs[:, number == one].amax(1)", ABLATING),
    Mutant("reproduce.the-end-is-a-plural-verb", _ABLATING,
           "torch.tensor([*numbers, 0])", "torch.tensor([*numbers, PLURAL])", ABLATING),
    Mutant("reproduce.specific-whatever-the-other-number-loses", _ABLATING,
           "& (least <= most / 2)", "", ABLATING),
    Mutant("reproduce.resampling-must-cost-as-much", _ABLATING,
           '"resample": 0.05}', '"resample": 0.1}', ABLATING),
    Mutant("reproduce.the-other-number-is-not-gone", _ABLATING,
           'share(said[mode] != said["zero"])', "share(said[mode] < 0)", ABLATING),
    Mutant("reproduce.gone-of-all-units", _ABLATING,
           "float(which[chosen].mean())", "float(which.mean())", ABLATING),
    Mutant("reproduce.labels-at-every-step", _ABLATING,
           "masked_fill(~batch.scored_steps(target), torch.nan)", "clone()", ABLATING),
    Mutant("reproduce.the-own-class-is-that-which-loses-most", _ABLATING,
           "np.arange(len(told)), told.argmax(1)", "np.arange(len(told)), lost.argmax(1)", ABLATING),
    Mutant("reproduce.the-own-class-is-one-of-the-others", _ABLATING,
           "(lost.sum(1) - lost[units, own]) / (lost.shape[1] - 1)", "lost.mean(1)", ABLATING),
    Mutant("reproduce.affinity-without-the-readout", _ABLATING,
           "weights[k] * (h", "(h", ABLATING),
    Mutant("reproduce.affinity-of-where-it-is-right-alone", _ABLATING,
           " - h[classes != k].mean(0))", ")", ABLATING),
    Mutant("reproduce.units-that-lower-a-label-are-its-own", _ABLATING,
           "np.argsort(-affinities(", "np.argsort(affinities(", ABLATING),
    Mutant("reproduce.labels-apart-on-average", _ABLATING,
           "float((own[k, k] - others).min())", "float((own[k, k] - others).mean())", ABLATING),
    Mutant("reproduce.random-sets-beat-on-average", _ABLATING,
           "float((own[k, k] > random).mean())", "float((own[k, k] > random.mean(0)).mean())", ABLATING),
    Mutant("reproduce.chrono-against-itself", _REMEMBERING,
           '"torch": {"init": "torch"}', '"torch": {}', CHRONO),
    Mutant("reproduce.chrono-above-the-forget-bias", _REMEMBERING,
           'r2["chrono"] - r2["torch"]', 'r2["chrono"] - r2["bias_1"]', CHRONO),
    Mutant("network.chrono-spans-a-hundred-steps", "lstm_probe/network/training.py",
           'int(task.sample_training(64, 0).lengths.max()) if settings.init == "chrono" else 1', "100", CHRONO),
    Mutant("probing.untrained-chrono-spans-a-hundred-steps", "lstm_probe/probing/inference/baselines.py",
           'number), int(rec.lengths.max()))', 'number), 100)', CHRONO),
)  # fmt: skip
