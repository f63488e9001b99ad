"""The public names: declared once, found by type checkers too, and called alike."""

import ast
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import lstm_probe as lp

PACKAGE = Path(lp.__file__).parent
#: In this order, wherever they are taken.
SHARED = (
    "split", "lags", "variables", "folds", "permutations", "null", "bootstrap", "untrained", "init", "forget_bias",
    "window", "estimator", "alpha", "min_effect", "min_effect_class", "margin", "least_margin", "least_swap", "seed",
    "run", "task",
)  # fmt: skip
C_ALONE = "many fits for each unit, which the memory c is looked at for unless more is asked for"
CHEAPER = "an interval at every level or pair, each to be looked at by eye and not tested"
EACH_PAIR = "all responses are exchanged anew for each pair of networks"
#: (function, parameter): its own default, and why it is not the common one.
OTHER_DEFAULTS = {
    ("aligned_averages", "variables"): (("c",), C_ALONE),
    ("cross_time", "variables"): (("c",), C_ALONE),
    ("learning_curves", "variables"): (("c",), C_ALONE),
    ("description_length", "variables"): (("c",), C_ALONE),
    ("memory_curves", "variables"): (("c",), C_ALONE),
    ("partial_effects", "variables"): (("c",), C_ALONE),
    ("cross_time", "lags"): ((0, 1, 2, 5, 10, 20), "the lags are the axis of what it measures"),
    ("memory_curves", "lags"): (None, "the lags are the axis of what it measures"),
    ("partial_effects", "bootstrap"): (200, CHEAPER),
    ("tuning_curves", "bootstrap"): (200, CHEAPER),
    ("conjunctions", "bootstrap"): (200, CHEAPER),
    ("unit_pairs", "bootstrap"): (200, CHEAPER),
    ("conjunctions", "variables"): (("c",), C_ALONE),
    ("unit_clusters", "variables"): (("c",), C_ALONE),
    ("match_units", "permutations"): (199, EACH_PAIR),
    ("network_similarity", "permutations"): (199, EACH_PAIR),
    ("match_runs", "permutations"): (99, EACH_PAIR),
    ("size", "margin"): (0.02, "below what large networks reach, not above a baseline"),
    ("from_tensorflow1", "forget_bias"): (
        1.0,
        "what the cell adds while it runs, unless it was changed",
    ),
}
#: The steps that are clamped, which is no baseline of recent inputs.
OF_CLAMPS = {(name, "window") for name in ("ablate_units", "ablate_sets", "needed_sets")}
#: What is asked about is given by place, too.
ASKED_ABOUT = {
    "ablate_sets": ["model", "batch", "sets"],
    "erase_signals": ["model", "batch", "signals"],
    "patch_directions": ["model", "batch", "directions"],
    "patch_sets": ["model", "batch", "sets"],
    "patch_units": ["model", "batch", "signals"],
    "steer": ["model", "batch", "signals"],
}
ASKED_ABOUT |= {name: ["model", "batch", "signals"] for name in ("memory_flow", "timescales")}
#: Parameters with a default that may be given by place: the signals of a stored recording are in it.
BY_PLACE = {(name, "signals") for name in ("probe_units", "probe_populations", "memory_curves")}
#: And those that say what of a batch is looked at.
BY_PLACE |= {(name, "signals") for name in ("erase_signals", "memory_flow", "patch_units", "steer", "timescales")}
BY_PLACE |= {("patch_directions", "directions")}
#: They go with a recording, and with nothing else that has cards.
BY_PLACE |= {(name, "signals") for name in ("answer", "unit_cards")}
#: Fixed points are those of a network, with or without sequences.
BY_PLACE |= {("fixed_points", "batch")}
#: The usual store; all its keywords are keys of runs.
BY_PLACE |= {("load_runs", "place")}


def public_functions():
    """Every public function by the name that it is called by."""
    own = {name: getattr(lp, name) for name in lp.__all__}
    figures = {f"figures.{name}": getattr(lp.figures, name) for name in lp.figures.__all__}
    return {name: thing for name, thing in {**own, **figures}.items() if inspect.isfunction(thing)}


def parameters():
    for function, thing in public_functions().items():
        for p in inspect.signature(thing).parameters.values():
            yield function, p


def test_the_names_for_type_checkers_are_those_that_there_are():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [(node.module, alias) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert all(alias.asname == alias.name for _, alias in imports)  # else it is no name of ours for others' checkers
    homes = {alias.name: module for module, alias in imports}
    assert homes == {**lp._HOMES, **dict.fromkeys(lp._MODULES, "lstm_probe")}
    assert lp.__all__ == dir(lp) == sorted([*homes, "__version__"])
    for name, home in homes.items():
        assert getattr(lp, name) is getattr(sys.modules[home], name)


def test_no_room_has_the_name_of_a_public_function():
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert "probing" in rooms and not rooms & set(public_functions())
    assert rooms >= set(lp._MODULES)


def test_names_come_when_they_are_used_and_figures_stay_functions():
    code = """
import sys, inspect
import lstm_probe as lp
assert "torch" not in sys.modules and "matplotlib" not in sys.modules
assert hasattr(lp.recording(None), "__enter__") and not hasattr(lp, "no_such_name")
import lstm_probe.figures.memory, lstm_probe.report.run_page
for name in lp.figures.__all__:
    assert inspect.isfunction(getattr(lp.figures, name)), name
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_function_that_draws_a_figure_is_in_the_room_of_figures():
    drawing = {
        node.name
        for path in (PACKAGE / "figures").glob("[!_]*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and node.returns is not None
        and ast.unparse(node.returns) == "Figure"
    }
    drawing = {name for name in drawing if not name.startswith("_")}
    assert drawing - {"new_figure", "draw_maps"} == set(lp.figures.__all__) - {"save"}


def test_type_checkers_are_told_that_the_package_is_typed():
    assert (PACKAGE / "py.typed").is_file()
    build = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["packages"] == ["lstm_probe"]  # all files of the package


def test_a_thing_and_its_signals_by_place_and_all_else_by_keyword():
    places = {}
    for function, p in parameters():
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            places.setdefault(function, []).append(p.name)
            assert p.default is p.empty or (function, p.name) in BY_PLACE, (function, p.name)
        else:
            assert p.kind is not p.VAR_POSITIONAL
    assert {function: names for function, names in places.items() if len(names) > 2} == ASKED_ABOUT


def test_shared_parameters_come_in_one_order():
    taken = {}
    for function, p in parameters():
        if p.kind is p.KEYWORD_ONLY and p.name in SHARED and (function, p.name) not in OF_CLAMPS:
            taken.setdefault(function, []).append(p.name)
    assert taken["probe_units"][0] == "split"
    for function, names in taken.items():
        assert names == sorted(names, key=SHARED.index), function


def test_shared_parameters_have_one_default():
    defaults, others = {}, {}
    for function, p in parameters():
        if p.kind is p.KEYWORD_ONLY and p.name in SHARED and (function, p.name) not in OF_CLAMPS:
            if (function, p.name) in OTHER_DEFAULTS:
                others[function, p.name] = p.default
            else:
                defaults.setdefault(p.name, {})[function] = p.default
    assert set(defaults) == set(SHARED)
    for name, given in defaults.items():
        assert len({repr(value) for value in given.values()}) == 1, (name, given)
    assert others == {key: default for key, (default, _) in OTHER_DEFAULTS.items()}
    for (_, name), default in others.items():  # an exception that is none is one too many
        assert default not in defaults[name].values()
