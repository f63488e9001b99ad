"""Mutants of the explorer's data: whose numbers they are, and what is known."""

from .mutant import Mutant

DATA = ("tests/report/explorer/test_data.py",)
SEQUENCES = ("tests/report/explorer/test_sequences.py",)
PACKING = ("tests/report/explorer/test_packing.py",)
_ROOM = "lstm_probe/report/explorer"

MUTANTS = (
    Mutant("explorer.unknown-is-the-least", f"{_ROOM}/packing.py",
           "np.rint(STEPS * share), UNKNOWN", "np.rint(STEPS * share), 0", PACKING),
    Mutant("explorer.numbers-with-the-high-byte-first", f"{_ROOM}/packing.py",
           'newbyteorder("<")', 'newbyteorder(">")', PACKING),
    Mutant("explorer.unknown-effects-are-zero", f"{_ROOM}/tables.py",
           "found[name] = np.full(places.shape, np.nan)", "found[name] = np.zeros(places.shape)", DATA),
    Mutant("explorer.the-highest-lag-though-another-tracks", f"{_ROOM}/tables.py",
           'own.sort_values(["_tracks", "effect"]', 'own.sort_values(["effect", "_tracks"]', DATA),
    Mutant("explorer.losses-as-they-stand", f"{_ROOM}/tables.py",
           'source = ("refit_drop", "refit_ci_low", "refit_ci_high") if refitted',
           'source = ("score_drop", "ci_low", "ci_high") if refitted', DATA),
    Mutant("explorer.what-is-held-is-not-marked", f"{_ROOM}/tables.py",
           "mark[u, s] = HELD if one.how == EARLIER else CURVED", "mark[u, s] = 0", DATA),
    Mutant("explorer.the-signal-of-now-under-an-earlier-one", f"{_ROOM}/data.py",
           'lags[one["unit"], one["signal"]] = one["lag"]', "pass", DATA),
    Mutant("explorer.curves-of-what-the-task-does-not-need", f"{_ROOM}/data.py",
           'if fact.role in ("target", "latent") or mark[:, k].any()', "if True", DATA),
    Mutant("explorer.signals-without-their-lag", f"{_ROOM}/sequences.py",
           "x = signal[:, : signal.shape[1] - lag], recorded[:, lag:, here]",
           "x = signal[:, lag:], recorded[:, lag:, here]", SEQUENCES),
    Mutant("explorer.padding-is-fitted", f"{_ROOM}/sequences.py",
           "known[:, : signal.shape[1] - lag] & mask[:, lag:]", "known[:, : signal.shape[1] - lag]", SEQUENCES),
    Mutant("explorer.the-page-as-large-as-it-comes", f"{_ROOM}/sequences.py",
           "np.cumsum(lengths) <= steps(kept)", "np.cumsum(lengths) <= 10**9", SEQUENCES),
    Mutant("explorer.another-units-trace", f"{_ROOM}/sequences.py",
           "whole[..., [units[k][2] for k in places]]", "whole[..., sorted(units[k][2] for k in places)]", SEQUENCES),
)  # fmt: skip
