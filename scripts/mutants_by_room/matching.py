"""Mutants of units matched between networks, of what they have in common, and of clusters of units."""

from .mutant import Mutant

LIKENESS = ("tests/probing/inference/test_likeness.py",)
MATCHING = ("tests/probing/analyses/test_matching.py",)
UNIVERSAL = ("tests/probing/analyses/test_universal.py",)
CLUSTERS = ("tests/probing/analyses/test_clusters.py",)
FIGURE = ("tests/figures/test_clusters.py",)
RUNS = ("tests/sizing/test_recurring.py",)

MUTANTS = (
    Mutant("matching.signs-count", "lstm_probe/probing/inference/likeness.py",
           "matched(np.abs(first.between))", "matched(first.between)", LIKENESS),
    Mutant("matching.scored-where-it-was-chosen", "lstm_probe/probing/inference/likeness.py",
           "* second.between[rows, columns]", "* first.between[rows, columns]", LIKENESS),
    Mutant("matching.the-greater-effect", "lstm_probe/probing/inference/likeness.py",
           "return rows, columns, np.minimum(own, other)", "return rows, columns, np.maximum(own, other)", LIKENESS),
    Mutant("matching.one-network-alone-is-exchanged", "lstm_probe/probing/inference/likeness.py",
           "np.maximum(np.minimum(own_by_chance, other), np.minimum(own, other_by_chance))",
           "np.minimum(own, other_by_chance)", (*LIKENESS, *MATCHING)),
    Mutant("matching.biased-cka", "lstm_probe/probing/inference/likeness.py", "- n / (n - 2) * square", "- square",
           LIKENESS),
    Mutant("matching.turned-without-scale", "lstm_probe/probing/inference/likeness.py",
           "self.between @ rotation / scale", "self.between @ rotation", LIKENESS),
    Mutant("matching.sequences-stay", "lstm_probe/probing/analyses/halves.py",
           "other.values[k][order]", "other.values[k]", MATCHING),
    Mutant("matching.signals-stay", "lstm_probe/probing/analyses/halves.py",
           "self.columns[k][order]", "self.columns[k]", MATCHING),
    Mutant("matching.padding-counts", "lstm_probe/probing/analyses/halves.py",
           "np.arange(time) < exchange.lengths[:, None]", "np.arange(time) < time + 0 * exchange.lengths[:, None]",
           MATCHING),
    Mutant("matching.groups-are-torn", "lstm_probe/probing/analyses/halves.py",
           'make_exchange("shuffle", study.lengths[members], codes)',
           'make_exchange("shuffle", study.lengths[members], None)', MATCHING),
    Mutant("matching.only-its-own-best", "lstm_probe/probing/analyses/matching.py",
           "p = (1 + (best >= similarity[:, None] - SAME).sum(1))", "p = (1 + (best < similarity[:, None]).sum(1))",
           MATCHING),
    Mutant("matching.pairs-are-the-sample", "lstm_probe/probing/analyses/matching.py",
           "if k not in pair]", "if k != pair[0]]", MATCHING),
    Mutant("matching.without-p-of-untrained", "lstm_probe/probing/analyses/matching.py",
           "yield {}", "raise", MATCHING),
    Mutant("matching.in-one-order-alone", "lstm_probe/probing/analyses/universal.py",
           "found.setdefault((by, other, network), {})[two, one] = r", "pass", UNIVERSAL),
    Mutant("matching.any-unit", "lstm_probe/probing/analyses/universal.py",
           'signal[signal["tracks"].astype(bool)]', "signal", UNIVERSAL),
    Mutant("matching.the-last-lag", "lstm_probe/probing/analyses/universal.py",
           'own["lag"].min()', 'own["lag"].max()', UNIVERSAL),
    Mutant("clusters.steps-are-no-condition", "lstm_probe/probing/analyses/clusters.py",
           "own.sum(0) / np.maximum(n, 1)[:, None]", "own.sum((0, 1)) / max(1, n.sum())", CLUSTERS),
    Mutant("clusters.biased-variance", "lstm_probe/probing/analyses/clusters.py",
           "max(1, int((n - 1).sum()))", "max(1, int(n.sum()))", CLUSTERS),
    Mutant("clusters.never-turned", "lstm_probe/probing/analyses/clusters.py",
           "_highest(own, turn, most, seed)", "_highest(own, np.eye(len(turn)), most, seed)", CLUSTERS),
    Mutant("clusters.always-two", "lstm_probe/probing/analyses/clusters.py",
           "silhouette.mean() > best[1].mean() + SAME", "silhouette.mean() > 2", CLUSTERS),
    Mutant("clusters.in-order-of-units", "lstm_probe/figures/clusters.py",
           '.sort_values(["cluster", "peak"], kind="stable")', ".sort_index()", FIGURE),
    Mutant("clusters.found-without-test", "lstm_probe/probing/analyses/clusters.py",
           "if not first.found or pd.isna", "if pd.isna", CLUSTERS),
    Mutant("recurring.small-networks-alone", "lstm_probe/sizing/recurring.py",
           "np.linspace(0, len(own) - 1, MOST)", "np.arange(min(MOST, len(own)))", RUNS),
    Mutant("recurring.those-that-did-not-learn", "lstm_probe/sizing/recurring.py",
           'if run.info["learned"] and all(run.info["learned"].values())', 'if run.info["learned"]', RUNS),
    Mutant("recurring.any-task", "lstm_probe/sizing/recurring.py", "if len(tasks) > 1:", "if len(tasks) > 2:", RUNS),
    Mutant("recurring.training-is-shown", "lstm_probe/sizing/recurring.py",
           "if not row.p_untrained <= ALPHA:", "if not row.p_untrained <= 1:", RUNS),
)  # fmt: skip
