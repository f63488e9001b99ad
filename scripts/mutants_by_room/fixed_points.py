"""Mutants of fixed points: the map, the search, what becomes of states, and what points stand for."""

from .mutant import Mutant

MAP = ("tests/dynamics/test_step_map.py",)
LINEAR = ("tests/dynamics/test_linear.py",)
SOLVING = ("tests/dynamics/test_solving.py",)
POINTS = ("tests/dynamics/test_fixed_points.py",)
SPACE = ("tests/dynamics/test_state_space.py",)
FIGURE = ("tests/figures/test_state_space.py",)
RESTING = ("tests/findings/test_resting.py",)

MUTANTS = (
    Mutant("points.without-what-the-output-gate-hears", "lstm_probe/dynamics/step_map.py",
           "* own + _rows(self.seen * o * (1 - o)) * by_o", "* own", MAP),
    Mutant("points.layers-that-do-not-hear-each-other", "lstm_probe/dynamics/step_map.py",
           "slope = slope + layer.w_ih @ below", "pass", MAP),
    Mutant("points.weights-that-are-the-modules-own", "lstm_probe/dynamics/step_map.py",
           "{name: values.clone() for name, values in own.items()}", "dict(own)", MAP),
    Mutant("points.relu-that-does-not-rise-at-0", "lstm_probe/dynamics/step_map.py", "(pre >= 0)", "(pre > 0)",
           SOLVING),
    Mutant("points.neighbours-are-one", "lstm_probe/dynamics/solving.py",
           "off = (EXACT / torch.cat(sure)).clamp(LEAST_APART, MOST_APART)",
           "off = torch.full((len(states),), MOST_APART, dtype=states.dtype)", SOLVING),
    Mutant("points.one-step-of-newtons-is-enough", "lstm_probe/dynamics/solving.py",
           "if not bool(better.all()):", "if False:", SOLVING),
    Mutant("points.a-line-has-no-shortest-step", "lstm_probe/dynamics/solving.py",
           "least, which = left.min(0)", "least, which = left[0], torch.zeros(len(own), dtype=torch.long)", POINTS),
    Mutant("points.only-where-states-come-to-rest", "lstm_probe/dynamics/searching.py",
           "self.points = find_points(", "find_points(", SOLVING),
    Mutant("points.middles-of-new-points-are-taken-as-tried", "lstm_probe/dynamics/searching.py",
           "self.tried.new_zeros(pairs", "self.tried.new_ones(pairs", SOLVING),
    Mutant("points.middles-are-tried-again", "lstm_probe/dynamics/searching.py",
           "self.tried[number] = True", "pass", SOLVING),
    Mutant("points.c-costs-no-damping", "lstm_probe/dynamics/linear.py",
           "whole = self.by_c.square() + damping.unsqueeze(1)", "whole = self.by_c.square()", LINEAR),
    Mutant("points.c-stays-where-it-is", "lstm_probe/dynamics/linear.py",
           "-share * left", "0 * left", LINEAR),
    Mutant("points.the-rest-of-the-steps-left-out", "lstm_probe/dynamics/settling.py",
           "self._piece(states.to(self.dtype), x, steps % PIECE)", "states.to(self.dtype)", SOLVING),
    Mutant("points.a-cycle-is-half-as-long", "lstm_probe/dynamics/settling.py",
           "returns.long().argmax(0) + 1", "returns.long().argmax(0)", SOLVING),
    Mutant("points.slowing-down-is-growing", "lstm_probe/dynamics/settling.py", "outward & steady & straight",
           "outward & straight", SOLVING),
    Mutant("points.going-round-is-growing", "lstm_probe/dynamics/settling.py", "outward & steady & straight",
           "outward & steady", SOLVING),
    Mutant("points.saddles-count-like-nodes", "lstm_probe/dynamics/searching.py",
           "torch.linalg.slogdet(one - step.jacobian(points.states, x)[1])[0].sum()", "len(points.states)", SOLVING),
    Mutant("points.codes-of-where-states-began", "lstm_probe/dynamics/meaning.py",
           "np.stack([one.last for one in chosen], 1)", "values", POINTS),
    Mutant("points.lines-are-listed-whole", "lstm_probe/dynamics/fixed_points.py",
           "isolated | (counts > 0)", "isolated | (counts >= 0)", POINTS),
    Mutant("points.padding-is-a-state", "lstm_probe/dynamics/states.py",
           "real & own if aligned else real", "real", SPACE),
    Mutant("points.h-of-another-layer-is-shown", "lstm_probe/dynamics/meaning.py", "top = every[0][-1]",
           "top = every[0][0]", POINTS),
    Mutant("points.saddles-drawn-as-attractors", "lstm_probe/figures/state_space.py",
           'own = points[points["kind"] == kind]', "own = points", FIGURE),
    Mutant("points.a-unit-rests-where-no-state-ends", "lstm_probe/findings/resting.py",
           ' & (points["share"] > 0)', "", RESTING),
    Mutant("points.a-unit-rests-as-one-of-the-lowest-layer", "lstm_probe/findings/resting.py",
           'at = layer * int(points["units"].iloc[0]) + unit', "at = unit", RESTING),
    Mutant("points.a-unit-rests-apart-though-ranges-overlap", "lstm_probe/findings/resting.py",
           "max(one) < min(two)", "min(one) < min(two)", RESTING),
    Mutant("points.at-rest-under-an-input-is-without", "lstm_probe/findings/resting.py",
           'any(told[0]["input"]) or ', "", RESTING),
)  # fmt: skip
