"""Mutants of the search for the smallest size."""

from .mutant import Mutant

POSTERIOR = ("tests/sizing/test_posterior.py",)
SIZE = ("tests/sizing/test_size.py",)
COMMAND = ("tests/cli/commands/test_size.py",)
SEARCH, ANSWER, LAWS = (f"lstm_probe/sizing/{name}.py" for name in ("search", "answer", "posterior"))

MUTANTS = (
    Mutant("size.a-failure-counts-as-a-solution", LAWS, "(solves if solved else 1 - solves)", "solves", POSTERIOR),
    Mutant("size.no-training-fails-by-chance", LAWS, "(1 - LUCKY - lapse)", "(1 - LUCKY)", POSTERIOR),
    Mutant("size.laws-are-alike-per-cell", LAWS, "np.multiply.outer(weights,", "np.multiply.outer(weights**0,",
           POSTERIOR),
    Mutant("size.some-size-is-no-answer", LAWS, "STEPS + 1), octaves)", "STEPS + 1), octaves[:1])", POSTERIOR),
    Mutant("size.the-next-size-tells-least", LAWS, "expected <= expected.min() + 1e-9",
           "expected >= expected.max() - 1e-9", POSTERIOR),
    Mutant("size.entropy-of-one-outcome-alone", LAWS, "_entropy(joint) + _entropy(rest)", "_entropy(joint)", POSTERIOR),
    Mutant("size.an-interval-of-half-the-level", LAWS, "quantiles = np.array([HALF, (1 - LEVEL) / 2, (1 + LEVEL) / 2])",
           "quantiles = np.array([HALF, 1 - LEVEL, LEVEL])", POSTERIOR),
    Mutant("size.one-training-is-believed", SEARCH, "LEAST = 4", "LEAST = 1", POSTERIOR),
    Mutant("size.runs-that-are-there-are-not-looked-for", SEARCH, "        search.look_around()\n", "", SIZE),
    Mutant("size.another-experiments-runs-count", SEARCH, "if config == self.experiment and ", "if ", SIZE),
    Mutant("size.runs-there-count-to-the-budget", SEARCH, "len(self.mine & set(self.trials)) >=",
           "len(self.trials) >=", SIZE),
    Mutant("size.a-stopped-search-forgets-its-trainings", SEARCH,
           "        self._keep()\n        return self._take(run, units, seed)",
           "        return self._take(run, units, seed)", SIZE),
    Mutant("size.the-plateau-is-the-best-network", SEARCH, "statistics.median(", "max(", SIZE),
    Mutant("size.no-margin-below-the-plateau", SEARCH, "{name: score - margin for", "{name: score for", SIZE),
    Mutant("size.an-unlearned-plateau-is-a-threshold", SEARCH, "if score < LEARNABLE + margin", "if score < 0", SIZE),
    Mutant("size.a-threshold-that-is-given-is-not-used", SEARCH,
           "if self.settings.solved is None and self.task.attainable:\n            return trial.solved",
           "if self.task.attainable:\n            return trial.solved", SIZE),
    Mutant("size.every-target-has-the-answer-of-all", ANSWER,
           "[(trial.units, trial.scores[name] >= least) for trial in ordered]",
           "[(trial.units, solved[trial.run]) for trial in ordered]", SIZE),
    Mutant("size.an-open-lower-end-is-an-answer", ANSWER,
           'if found.low == int(found.curve["units"].min()) != found.high:', "if False:", SIZE),
    Mutant("size.the-seeds-of-one-size-are-one", ANSWER, "share = _share(*tried.loc[smaller[-1]])",
           "share = _share(*tried.loc[smaller[0]])", SIZE),
    Mutant("size.the-nearest-is-the-farthest", ANSWER, "nearest = min(trials, key",
           "nearest = max(trials, key", SIZE),
    Mutant("size.progress-of-each-training-is-shown-twice", "lstm_probe/cli/commands/size.py",
           'not_shown("lstm_probe.runs", ', 'not_shown("nothing", ', COMMAND),
)  # fmt: skip
