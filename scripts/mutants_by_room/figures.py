"""Mutants of the figures: axes, masks, what is drawn where."""

from .mutant import Mutant

TUNING = ("tests/figures/test_tuning.py",)
UNITS = ("tests/figures/test_units.py",)
CURVES = ("tests/figures/test_curves.py",)
CONFOUNDS = ("tests/figures/test_confounds.py",)
STYLE = ("tests/figures/test_style.py",)
CODES = ("tests/figures/test_codes.py",)
_ROOM = "lstm_probe/figures"

MUTANTS = (
    Mutant("figures.the-axes-of-memory-exchanged", f"{_ROOM}/memory.py",
           'axes.set_xlabel("steps ago", labelpad=1)\n        axes.set_ylabel("effect", labelpad=2)',
           'axes.set_xlabel("effect", labelpad=1)\n        axes.set_ylabel("steps ago", labelpad=2)', TUNING),
    Mutant("figures.memory-of-the-worst-units", f"{_ROOM}/memory.py",
           "mean.nlargest(MOST_UNITS)", "mean.nsmallest(MOST_UNITS)", TUNING),
    Mutant("figures.memory-beside-the-lowest-baseline", f"{_ROOM}/memory.py",
           'own.groupby("lag")[key].max()', 'own.groupby("lag")[key].min()', TUNING),
    Mutant("figures.undefined-effects-are-zero", f"{_ROOM}/unit_maps.py",
           "np.ma.masked_invalid(panel.values)", "np.nan_to_num(panel.values)", UNITS),
    Mutant("figures.dots-in-the-wrong-column", f"{_ROOM}/unit_maps.py",
           "x + 0.5, y + 0.5, s=size", "x + 1.5, y + 0.5, s=size", UNITS),
    Mutant("figures.dots-of-effects", f"{_ROOM}/units.py",
           '_matrix(own.assign(tracks=own["tracks"].astype(float)), "signal", "tracks", order, names) > 0',
           "effects > 0", UNITS),
    Mutant("figures.units-upside-down", f"{_ROOM}/unit_maps.py",
           "ylim=(rows, 0)", "ylim=(0, rows)", UNITS),
    Mutant("figures.the-last-lag-instead-of-the-best", f"{_ROOM}/units.py",
           'aggfunc="max"', 'aggfunc="last"', UNITS),
    Mutant("figures.scores-of-the-test", f"{_ROOM}/learning.py",
           '"validation" if "validation" in splits', '"test" if "test" in splits', CURVES),
    Mutant("figures.the-axes-of-learning-exchanged", f"{_ROOM}/learning.py",
           'right.set(title="Loss", xlabel="step", ylabel="loss")',
           'right.set(title="Loss", xlabel="loss", ylabel="step")', CURVES),
    Mutant("figures.a-trace-and-its-fit-exchanged", f"{_ROOM}/traces.py",
           'axes.plot(rows["step"], rows["true"], color=INK', 'axes.plot(rows["step"], rows["fitted"], color=INK',
           CURVES),
    Mutant("figures.traces-of-where-nothing-happens", f"{_ROOM}/traces.py", "np.argmax(np.round", "np.argmin(np.round",
           CURVES),
    Mutant("figures.a-fit-that-leaves-its-panel-unmarked", f"{_ROOM}/traces.py", "(fitted < panel.low, panel.low",
           "(fitted < -1e9, panel.low", CURVES),
    Mutant("figures.colours-by-number", f"{_ROOM}/style.py", "places.get(unit, unit[2])", "unit[2]", STYLE),
    Mutant("figures.letters-of-any-size", f"{_ROOM}/style.py", "max(SMALLEST, points *", "(points *", STYLE),
    Mutant("figures.any-width", f"{_ROOM}/style.py", "figure.set_size_inches(wide,", "figure.set_size_inches(wide + 1,",
           STYLE),
    Mutant("figures.fonts-without-a-name", f"{_ROOM}/fonts.py", "options.name_IDs = [1, 2]",
           'options.drop_tables += ["name"]', STYLE),
    Mutant("figures.bold-letters-of-the-thin-font", f"{_ROOM}/fonts.py",
           "_face(bold, frozenset", "_face(False, frozenset", STYLE),
    Mutant("figures.files-where-one-failed", "lstm_probe/cli/commands/figures.py", 'prefix=".partial-", dir=folder))',
           'prefix=".partial-", dir=folder)) and folder', ("tests/cli/commands/test_figures.py",)),
    Mutant("figures.bars-the-wrong-way", f"{_ROOM}/capacity.py",
           'np.stack([barred["mean"] - barred["ci_low"], barred["ci_high"] - barred["mean"]])',
           'np.stack([barred["ci_high"] - barred["mean"], barred["mean"] - barred["ci_low"]])', CURVES),
    Mutant("figures.dots-of-seeds-upon-one-another", f"{_ROOM}/capacity.py",
           "shift * 2 ** (apart * place)", "shift", CURVES),
    Mutant("figures.dots-that-reach-other-sizes", f"{_ROOM}/capacity.py",
           "_REACH * room / dots", "_REACH * room", CURVES),
    Mutant("figures.one-interval-tells-of-all", f"{_ROOM}/capacity.py",
           '* (not barred.all())', "* False", CURVES),
    Mutant("figures.counts-instead-of-shares", f"{_ROOM}/capacity.py",
           '.div(means["units"].map(every), axis=0).clip(upper=1.0)', ".clip(upper=1.0)", CURVES),
    Mutant("figures.the-axes-of-confounds-exchanged", f"{_ROOM}/confounds.py",
           'rows["effect"][which], rows["partial"][which], s=', 'rows["partial"][which], rows["effect"][which], s=',
           CONFOUNDS),
    Mutant("figures.the-names-of-confounds-exchanged", f"{_ROOM}/confounds.py",
           'axes.set_xlabel("effect: R² of the unit alone")\n'
           '    axes.set_ylabel("partial effect: share of what all else leaves unexplained")',
           'axes.set_ylabel("effect: R² of the unit alone")\n'
           '    axes.set_xlabel("partial effect: share of what all else leaves unexplained")', CONFOUNDS),
    Mutant("figures.collinear-dots-are-full", f"{_ROOM}/confounds.py",
           "((~hollow, colour), (hollow, \"white\"))", "((~hollow, colour), (hollow, colour))", CONFOUNDS),
    Mutant("figures.a-band-from-zero", f"{_ROOM}/codes.py",
           'left=row["rotated"], height', "left=0, height", CODES),
    Mutant("figures.distributed-dots-are-full", f"{_ROOM}/codes.py",
           '("best", 6.5, holds)', '("best", 6.5, True)', CODES),
    Mutant("figures.the-weakest-lag-of-a-code", f"{_ROOM}/codes.py",
           'table.sort_values("effect", ascending=False', 'table.sort_values("effect", ascending=True', CODES),
)  # fmt: skip
