"""Mutants of how memories are written, held and read, and of how long they last."""

from .mutant import Mutant

FLOW = ("tests/dynamics/test_flow.py",)
EVENTS = ("tests/dynamics/test_events.py",)
CELLS = ("tests/dynamics/test_flow_cells.py",)
WIRED = ("tests/dynamics/test_flow_wired.py",)
WORDS = ("tests/dynamics/test_flow_words.py",)
TIMES = ("tests/dynamics/test_timescales.py",)
GROUPS = ("tests/dynamics/test_flow_groups.py",)

MUTANTS = (
    Mutant("flow.values-come-from-ones-own-group", "lstm_probe/dynamics/flow.py",
           "batch.inputs.shape[1], seed, groups=codes)", "batch.inputs.shape[1], seed)", GROUPS),
    Mutant("flow.one-group-is-drawn-whole", "lstm_probe/core/groups.py",
           "several = drawn_as_one(codes)", "several = codes", GROUPS),
    Mutant("flow.what-comes-with-others-is-alone", "lstm_probe/dynamics/events.py",
           "for other, rest in resting.items() if other != k", "for other, rest in resting.items() if False", EVENTS),
    Mutant("flow.changes-read-forward-in-both-directions", "lstm_probe/dynamics/events.py",
           "moved[:, :-1] = values[:, 1:]", "moved[:, 1:] = values[:, :-1]", EVENTS),
    Mutant("flow.the-table-is-not-asked", "lstm_probe/dynamics/writing.py",
           "told = own[0] + own[1] * before - middle", "told = own[0] - middle", FLOW),
    Mutant("flow.means-of-what-has-a-sign", "lstm_probe/dynamics/writing.py",
           "sizes = (weights @ effect.abs())", "sizes = (weights @ effect)", FLOW),
    Mutant("flow.padding-is-a-memory", "lstm_probe/dynamics/writing.py",
           "earlier(torch.where(mask.unsqueeze(-1), after, 0), part.direction)", "earlier(after, part.direction)",
           FLOW),
    Mutant("flow.writing-events-are-not-kept-out", "lstm_probe/dynamics/exchanging.py",
           "return ~writes[:, first : last + 1].any(1)", "return ~writes[:, last + 1 :].any(1)", FLOW),
    Mutant("flow.later-is-after-in-both-directions", "lstm_probe/dynamics/exchanging.py",
           'sign = 1 if direction == "forward" else -1', "sign = 1", FLOW),
    Mutant("flow.sequences-of-one-length-alone", "lstm_probe/dynamics/exchanging.py",
           "found.left.setdefault(lags[at.step], nan.clone())", "found.left[lags[at.step]] = nan.clone()", FLOW),
    Mutant("flow.left-of-any-size", "lstm_probe/dynamics/reading.py",
           "(above, left * one.change)", "(above, one.change * one.change)", FLOW),
    Mutant("flow.a-weight-though-it-is-not-linear", "lstm_probe/dynamics/reading.py",
           "if not off <= LINEAR * change.square().sum():", "if False:", FLOW),
    Mutant("flow.weights-of-h-not-of-the-unit", "lstm_probe/dynamics/reading.py",
           "column = matrix[:, key[2]] if shows is None else matrix @ shows", "column = matrix[:, 0]", FLOW),
    Mutant("flow.what-is-heard-is-kept", "lstm_probe/dynamics/keeping.py",
           'deaf = {"weight_hh": torch.zeros_like(weights.w_hh)}', "deaf: dict[str, Tensor] = {}", CELLS),
    Mutant("flow.what-bends-is-a-share", "lstm_probe/dynamics/keeping.py",
           "return torch.where(bent, torch.nan, share)", "return share", WIRED),
    Mutant("flow.gates-are-made-anew", "lstm_probe/dynamics/keeping.py", "held.get(name, value)", "value", CELLS),
    Mutant("flow.all-of-it-was-written", "lstm_probe/dynamics/writing.py", "after - kept * before", "after", CELLS),
    Mutant("flow.rounding-is-another-value", "lstm_probe/dynamics/exchanging.py",
           "(value - own[at.sequences, step, unit])", "(value - at.memory[:, unit])", WIRED),
    Mutant("flow.a-start-is-let-go", "lstm_probe/dynamics/flow.py",
           "real = mask & earlier(mask, key[1]) if cell.starts else mask", "real = mask", CELLS),
    Mutant("flow.not-confirmed-is-written", "lstm_probe/dynamics/flow_words.py",
           "for row in rows[confirmed].itertuples()], rows[~confirmed]",
           "for row in rows.itertuples()], rows[~confirmed]", WORDS),
    Mutant("flow.itself-though-others-do", "lstm_probe/dynamics/flow_words.py",
           '"others write it again" if step["confirmed"] else', '"others write it again" if False else', WORDS),
    Mutant("flow.a-share-below-nothing", "lstm_probe/dynamics/flow_words.py",
           "if LEAST_SHARE <= row.share <= MOST_SHARE", "if row.share == row.share", WORDS),
    Mutant("times.what-all-have-in-common-is-memory", "lstm_probe/dynamics/timescales.py",
           "centred = (values - torch.where(real, values, 0).sum(0) / count)", "centred = values.clone()", TIMES),
    Mutant("times.growth-of-the-first-half", "lstm_probe/dynamics/timescales.py",
           "(step >= lengths // 2)", "(step < lengths // 2)", TIMES),
    Mutant("times.a-geometric-mean", "lstm_probe/dynamics/timescales.py",
           ".mean(0).log().abs()", ".log().mean(0).abs()", TIMES),
    Mutant("flow.a-geometric-mean", "lstm_probe/dynamics/reading.py",
           "own.mean().log().abs()", "own.log().mean().abs()", WORDS),
)  # fmt: skip
