"""Mutants of what is shown in a notebook, of batches of one's own arrays, and of cards of one's own tables."""

from .mutant import Mutant

SHOWN, OWN = ("tests/core/test_shown.py",), ("tests/core/test_own.py",)
TABLES, NOTEBOOK = ("tests/runs/test_own.py",), ("tests/test_notebook.py",)

MUTANTS = (
    Mutant("shown.names-are-markup", "lstm_probe/core/shown.py",
           "{escape(clean(str(text), None))}", "{clean(str(text), None)}", SHOWN),
    Mutant("shown.lengths-are-copied-from-the-device", "lstm_probe/core/shown.py",
           'if lengths.device.type != "cpu":', "if False:", NOTEBOOK),
    Mutant("shown.half-made-objects-fail", "lstm_probe/core/shown.py",
           "    except Exception:  #", "    except KeyError:  #", NOTEBOOK),
    Mutant("shown.all-lines-of-a-text", "lstm_probe/core/shown.py",
           "shown = [*every[:MOST_LINES],", "shown = [*every,", SHOWN),
    Mutant("own.what-stands-behind-the-end-is-an-input", "lstm_probe/core/own.py",
           "return torch.where(mask.unsqueeze(-1), values, 0.0), real", "return values, real", OWN),
    Mutant("own.a-label-of-a-sequence-counts-at-every-step", "lstm_probe/core/own.py",
           "(last if one_each else True)", "True", OWN),
    Mutant("own.gaps-count", "lstm_probe/core/own.py",
           "counts, missing = known & (", "counts, missing = mask & (", OWN),
    Mutant("own.cards-of-two-networks", "lstm_probe/runs/own.py",
           "if len(own) > 1:", "if False:", TABLES),
    Mutant("own.a-table-of-another-network", "lstm_probe/runs/own.py",
           'if own != wanted and "" not in (own, wanted):', "if False:", TABLES),
    Mutant("own.not-measured-goes-without-saying", "lstm_probe/runs/own.py",
           'return f"Not measured: {\'; \'.join(missed)}." if missed else ""', 'return ""', TABLES),
    Mutant("own.a-projected-h-is-of-units", "lstm_probe/runs/own.py",
           'return bool(len(h)) and int(h["unit"].max()) + 1 < int(h["units"].iloc[0])', "return False", TABLES),
)  # fmt: skip
