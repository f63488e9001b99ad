"""Mutants of planted networks: sets by output and by resampling, who carries what, and levels of knobs."""

from .mutant import Mutant

CIRCUITS = "tests/planted/test_circuits.py"
LEVELS = "tests/truth/test_levels.py"
TABLE = (f"{CIRCUITS}::test_the_truth_table_of_each_component_is_that_of_a_plain_loop",)
OUTPUTS = (f"{CIRCUITS}::test_each_output_and_step_has_sets_of_its_own",)
SHARES = (f"{CIRCUITS}::test_who_carries_what_needs_another_look_where_a_swap_moves_little",)
TURNS = (f"{CIRCUITS}::test_what_two_units_hold_in_turn_each_holds_exactly_in_its_own",)
READERS = (f"{CIRCUITS}::test_readers_hear_of_what_stands_before_them_through_each_other_and_are_as_soft",)
ROTATION = (f"{CIRCUITS}::test_a_rotation_holds_turned_counts",)
LINES = (f"{CIRCUITS}::test_lines_that_are_shared_make_signals_correlate_and_units_are_still_two",)
NOISE = (f"{CIRCUITS}::test_a_components_scale_of_noise_is_where_half_of_the_networks_break",)
COPIES = (f"{LEVELS}::test_the_truth_table_is_that_of_a_plain_loop",)
ANSWERS = (f"{LEVELS}::test_a_decoy_and_an_echo_hold_and_carry_nothing_onward",)
START = (f"{LEVELS}::test_a_start_is_what_forty_steps_lead_to",)

MUTANTS = (
    Mutant("planted.resampled-at-the-mean", "lstm_probe/planted/truth.py",
           "resample_refitted = costs(masks, held=others)", "resample_refitted = costs(masks, held=means)", COPIES),
    Mutant("planted.kept-the-wrong-way-round", "lstm_probe/planted/truth.py",
           "kept_refitted = costs(~masks, held=means)", "kept_refitted = costs(masks, held=means)", TABLE),
    Mutant("planted.a-target-is-its-first-output", "lstm_probe/planted/truth.py",
           "own if output is None else own[output : output + 1]", "own[: 1 + (output or 0)]", TABLE + OUTPUTS),
    Mutant("planted.outputs-count-alike", "lstm_probe/planted/truth.py",
           "weights = None if self.spread is None else self.spread[own]", "weights = None", TABLE),
    Mutant("planted.sets-that-only-hold-it", "lstm_probe/planted/truth.py",
           "if any(unit in units and costs[units] - costs[units - own] >= COSTS for units in needed):", "if False:",
           COPIES),
    Mutant("planted.decoys-carry", "lstm_probe/planted/carried.py",
           '"carries" if moves else "unread decoy"', '"carries"', ANSWERS),
    Mutant("planted.small-shares-are-shares", "lstm_probe/planted/carried.py", "share < COSTS or", "False or", SHARES),
    Mutant("planted.a-turn-is-always", "lstm_probe/planted/carried.py",
           "signals[when] == value", "signals[when] == signals[when]", TURNS),
    Mutant("planted.readers-of-readers-hear-nothing", "lstm_probe/planted/circuit.py",
           "waiting.append(name)", "pass", READERS),
    Mutant("planted.readers-stay-hard", "lstm_probe/planted/knobs.py",
           "for name in [*units, *readers]:", "for name in units:", READERS),
    Mutant("planted.a-rotation-that-mirrors-one-axis", "lstm_probe/planted/mixtures.py",
           "[[cos, sin], [-sin, cos]]", "[[cos, sin], [sin, cos]]", ROTATION),
    Mutant("planted.lines-of-its-own", "lstm_probe/planted/shared.py",
           "self.lines_of.get(name, name) for name in self.component.lines", "name for name in self.component.lines",
           LINES),
    Mutant("planted.noise-of-one-scale", "lstm_probe/planted/knobs.py",
           "self.amount * circuit.fragile[self.of]", "self.amount", NOISE),
    Mutant("truth.decoys-are-carriers", "lstm_probe/truth/cases.py",
           'READS = HAS | {"unread decoy": False, "echoes": False}', "READS = HAS", ANSWERS),
    Mutant("truth.a-start-from-nothing", "lstm_probe/truth/cases.py",
           "if self.start else made()", "if False else made()", START),
)  # fmt: skip
