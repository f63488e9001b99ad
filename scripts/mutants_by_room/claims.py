"""Mutants of what a claim rests on: how networks begin, which weights they ran with, untrained ones, the past-swap."""

from .mutant import Mutant

INITIAL = ("tests/recorder/test_initial.py",)
ORIGIN = ("tests/formats/test_origin.py",)
WEIGHTS = ("tests/recorder/test_weights.py",)
UNTRAINED = ("tests/probing/inference/test_untrained.py",)
SWAP = ("tests/probing/inference/test_swap.py", "tests/probing/inference/test_depth.py")
DECISION = ("tests/probing/inference/test_decision.py",)
UNITS = ("tests/probing/analyses/test_units.py",)
MEMORY = ("tests/probing/analyses/test_memory.py",)
CURVED = ("tests/probing/analyses/test_curved.py",)
_INFERENCE = "lstm_probe/probing/inference"

MUTANTS = (
    Mutant("claims.forget-bias-on-the-candidate", "lstm_probe/recorder/initial.py",
           'b_ih[rows[cell.keeps or ""]] += own', 'b_ih[rows["g"]] += own', INITIAL),
    Mutant("claims.chrono-spans-a-step-too-many", "lstm_probe/recorder/initial.py",
           "uniform_(1, max(3, steps) - 1)", "uniform_(1, max(3, steps) + 1)", INITIAL),
    Mutant("claims.orthogonal-over-all-gates", "lstm_probe/recorder/initial.py",
           "nn.init.orthogonal_(heard)", "nn.init.orthogonal_(w_hh)", INITIAL),
    Mutant("claims.glorot-over-inputs-alone", "lstm_probe/recorder/initial.py",
           "(w_ih.shape[1] + w_hh.shape[1] + len(w_hh))", "(w_ih.shape[1] + len(w_hh))", INITIAL),
    Mutant("claims.any-uniform-is-pytorchs", "lstm_probe/formats/origin.py",
           "if np.allclose(given[:2] or [0], [-bound, bound], rtol=1e-6, atol=0) else name", "", ORIGIN),
    Mutant("claims.an-unknown-origin-is-keras", "lstm_probe/formats/origin.py",
           '"glorot_normal", "recurrent', '"glorot_uniform", "recurrent', ORIGIN),
    Mutant("claims.weights-of-calls-are-not-compared", "lstm_probe/recorder/capture.py",
           "len(flat) != len(self._flat) or not all(map(torch.equal, flat, self._flat))",
           "len(flat) != len(self._flat)", WEIGHTS),
    Mutant("claims.weights-although-states-were-changed", "lstm_probe/recorder/assemble.py",
           "steps[0].weights for one in steps) and all(map(_follows, steps, steps[1:]))",
           "steps[0].weights for one in steps)", WEIGHTS),
    Mutant("claims.rows-run-with-the-first-weights", "lstm_probe/recorder/data.py",
           "else self.ran_with[sequences]", "else self.ran_with[: len(sequences)]", WEIGHTS),
    Mutant("claims.what-is-rare-is-left-to-luck", f"{_INFERENCE}/untrained.py",
           "max(enough_steps(study.lengths[order]), enough_of_each(study, order))",
           "enough_steps(study.lengths[order])", UNTRAINED),
    Mutant("claims.what-was-not-tried-was-not-found", "lstm_probe/probing/analyses/units.py",
           "reach = reach.learned_from(part.learnable, UNTRIED)", "pass", UNTRAINED),
    Mutant("claims.each-network-beside-itself", f"{_INFERENCE}/untrained.py",
           "others = np.delete(g, m, axis=0)", "others = g", UNTRAINED),
    Mutant("claims.networks-ranked-by-one-signal", f"{_INFERENCE}/untrained.py",
           "+ SMALL)).max()", "+ SMALL))[0]", UNTRAINED),
    Mutant("claims.the-friendliest-family", f"{_INFERENCE}/untrained.py",
           "p = np.maximum(p, p_of(mine, highest, scored))",
           "p = p_of(mine, highest, scored) if family is networks.families[0] "
           "else np.minimum(p, p_of(mine, highest, scored))", UNTRAINED),
    Mutant("claims.the-first-family-alone", f"{_INFERENCE}/untrained.py",
           "if not (candidates & (p <= alpha)).any():", "if True:", UNTRAINED),
    Mutant("claims.given-networks-are-changed", f"{_INFERENCE}/untrained.py",
           "find_lstm(copy.deepcopy(module), None)", "find_lstm(module, None)", UNTRAINED),
    Mutant("claims.the-swap-keeps-its-own-state", f"{_INFERENCE}/swap.py",
           "source = torch.where(donor >= 0, donor, sequence)", "source = sequence", SWAP),
    Mutant("claims.upper-layers-keep-their-state", f"{_INFERENCE}/swap.py",
           "part[v].cpu()[source, inside], cell",
           "part[v].cpu()[source if layer == 0 else sequence, inside], cell", SWAP),
    Mutant("claims.the-swap-with-the-first-weights", f"{_INFERENCE}/swap.py",
           "_run(rec, weights,", "_run(rec, rec.weights[0],", SWAP),
    Mutant("claims.donors-of-the-same-group", f"{_INFERENCE}/swap.py",
           "        out[own] = -1\n", "", SWAP),
    Mutant("claims.a-step-deeper", f"{_INFERENCE}/swap.py",
           "DEPTHS = (1, 2, 3, 5, 8, 12, 16)", "DEPTHS = (1, 2, 4, 6, 8, 12, 16)", SWAP),
    Mutant("claims.half-of-the-effect-is-enough", f"{_INFERENCE}/swap.py",
           "ENOUGH = 0.9", "ENOUGH = 0.5", SWAP),
    Mutant("claims.one-donor-counts-twice", f"{_INFERENCE}/swap.py",
           "derive_seed(seed, \"donors\", number)", "derive_seed(seed, \"donors\", 0)", SWAP),
    Mutant("claims.an-additive-margin", f"{_INFERENCE}/decision.py",
           "self.margin * (1 - baseline), ", "self.margin, ", DECISION),
    Mutant("claims.no-least-margin", f"{_INFERENCE}/decision.py",
           "self.least_margin if least is None else least", "0.0", DECISION),
    Mutant("claims.one-bar-for-numbers-and-classes", f"{_INFERENCE}/decision.py",
           "else self.min_effect_class for", "else self.min_effect for", DECISION),
    Mutant("claims.small-effects-are-tracked", f"{_INFERENCE}/claims.py",
           "strong = effect >= rule.bar(study.signals)", "strong = effect >= 0", DECISION),
    Mutant("claims.tracked-whatever-the-null-says", f"{_INFERENCE}/claims.py",
           " & (p_family <= rule.alpha)", "", UNITS),
    Mutant("claims.tracked-as-by-untrained-ones", f"{_INFERENCE}/claims.py",
           "held & (beside.p <= rule.alpha)", "held", UNITS),
    Mutant("claims.held-as-the-present-value-tells", "lstm_probe/probing/analyses/memory.py",
           'rule.beyond(effect, measured["signal_itself"]) & ', "", MEMORY),
    Mutant("claims.curves-need-not-beat-lines", "lstm_probe/probing/analyses/curved.py",
           " & rule.beyond(curved, straight)", "", CURVED),
    Mutant("claims.curves-of-untrained-units-are-none", "lstm_probe/probing/analyses/curved.py",
           "alpha, found[:, own]).p <= alpha", "alpha, found[:, own]).p <= 1", CURVED),
)  # fmt: skip
