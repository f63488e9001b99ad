"""Tables for papers: a tidy table as LaTeX, and a run's tables as files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.files import write_whole
from lstm_probe.core.latex import is_label, latex_number, latex_text
from lstm_probe.runs.analyses import columns as meanings_of
from lstm_probe.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

#: Rows from which on a table goes over several pages.
_LONG = 45


def to_latex(
    table: "pd.DataFrame",
    *,
    columns: Sequence[str] | None = None,
    digits: int = 3,
    caption: str = "",
    label: str = "",
    notes: str | Mapping[str, str] = "",
) -> str:
    r"""Return a tidy table as a LaTeX table with the rules of booktabs.

    It needs the package booktabs, and longtable above 45 rows; its first line says so. What stands in the table, in
    `caption` and in `notes` is text: special characters are shown as they are, and the result is ASCII alone.

    Args:
        table: any of this package's tables, or one that was made from it. Its index is left out, unless it has a name.
        columns: which of its columns, in this order; None: all.
        digits: significant digits of each number that is not whole.
        caption: what stands above the table; with it, or with a label, the table floats.
        label: what \ref finds it by.
        notes: what the columns mean, to stand under the table: the name of a table, as `columns` takes it, or a
            sentence by column. Columns without one are left out.

    Raises:
        InputError: there is no such column, or no column at all, or a label that LaTeX cannot take.

    >>> import pandas as pd
    >>> print(to_latex(pd.DataFrame({"unit": [0, 1], "effect": [0.91723, float("nan")]})))
    % needs \usepackage{booktabs}
    \begin{tabular}{rr}
    \toprule
    unit & effect \\
    \midrule
    0 & 0.917 \\
    1 & -- \\
    \bottomrule
    \end{tabular}
    <BLANKLINE>
    """
    if not hasattr(table, "columns"):
        raise InputError(f"table: a {type(table).__name__}; must be a table, such as a run has as an attribute")
    if any(name is not None for name in table.index.names):
        table = table.reset_index()
    table = _chosen(table, columns)
    if not 1 <= digits <= 17:
        raise InputError(f"digits={digits}: must be from 1 to 17")
    if label and not is_label(label):
        raise InputError(f"label={label}: must be made of letters, digits and : . _ / + -")
    told: Mapping[str, str] = (meanings_of(notes) if notes else {}) if isinstance(notes, str) else notes
    said = [rf"\textit{{{latex_text(name)}}}: {latex_text(told[name])}" for name in map(str, table) if name in told]
    return _put(table, digits, latex_text(caption), label, said)


def _chosen(table: "pd.DataFrame", columns: Sequence[str] | None) -> "pd.DataFrame":
    there = [str(name) for name in table.columns]
    unknown = [f"columns: {name}: the table has no such column.{nearest(name, there)} It has {', '.join(there)}."
               for name in columns or () if name not in there]  # fmt: skip
    if unknown:
        raise InputError(*unknown)
    if not there or (columns is not None and not len(columns)):
        raise InputError("columns: a table needs one at least")
    return table if columns is None else table[list(columns)]


def _put(table: "pd.DataFrame", digits: int, caption: str, label: str, notes: Sequence[str]) -> str:
    """Return the lines of a table, which goes over pages where it is long."""
    import pandas as pd

    names = [latex_text(" ".join(map(str, name)) if isinstance(name, tuple) else str(name)) for name in table]
    numbers = [pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind) for kind in table.dtypes]
    columns = "".join("r" if number else "l" for number in numbers)
    rows = [" & ".join(_cell(value, digits) for value in row) + r" \\"
            for row in table.itertuples(index=False, name=None)]  # fmt: skip
    rows = ["{}" + row if row[0] in "[*" else row for row in rows]  # which would belong to the line break before it
    head = ["\\toprule", " & ".join(names) + r" \\", "\\midrule"]
    titled = ([rf"\caption{{{caption}}}"] if caption else []) + ([rf"\label{{{label}}}"] if label else [])
    under = [r"\par\smallskip", r"{\footnotesize " + r" \\ ".join(notes) + r"\par}"] if notes else []
    if len(rows) > _LONG:
        above = ["".join(titled) + r" \\"] if titled else []
        lines = [r"% needs \usepackage{booktabs,longtable}", rf"\begin{{longtable}}{{{columns}}}", *above, *head,
                 r"\endfirsthead", *head, r"\endhead", r"\bottomrule", r"\endlastfoot", *rows, r"\end{longtable}",
                 *under[1:]]  # fmt: skip
        return "\n".join(lines) + "\n"
    lines = [rf"\begin{{tabular}}{{{columns}}}", *head, *rows, r"\bottomrule", r"\end{tabular}", *under]
    if titled:
        lines = [r"\begin{table}", r"\centering", *titled, *lines, r"\end{table}"]
    return "\n".join([r"% needs \usepackage{booktabs}", *lines]) + "\n"


def _cell(value: Any, digits: int) -> str:
    import pandas as pd

    if not pd.api.types.is_scalar(value):
        return latex_text(_listed(value))
    if pd.isna(value):
        return "--"
    if pd.api.types.is_bool(value):
        return "yes" if value else "no"
    if pd.api.types.is_integer(value):
        return f"$-${abs(value)}" if value < 0 else str(value)
    return latex_number(float(value), digits) if pd.api.types.is_float(value) else latex_text(str(value))


def _listed(values: Any) -> str:
    """Return a cell's list as JSON, which reads back as the same numbers."""
    return json.dumps(values.tolist() if hasattr(values, "tolist") else values)


def table_names(run: Run) -> list[str]:
    """Return the tables that a run has."""
    return [*run.measured, "history"]


def write_table(run: Run, name: str, folder: Path, *, columns: Sequence[str] | None = None) -> list[Path]:
    """Write one of a run's tables as NAME.csv and NAME.tex into a folder; return the files.

    The CSV has every row, each number so that it reads back as itself, and lists as JSON. The LaTeX has the same rows;
    unless `columns` says which, columns with the same value in all rows stand in its caption.

    Args:
        run: a finished run.
        name: of an analysis that was measured on it, such as "probes", or "history".
        folder: where the files go; it has to be there.
        columns: which of the table's columns, in this order; None: all.

    Raises:
        InputError: the run has no such table, or the table no such column.
    """
    there = table_names(run)
    if name not in there:
        raise InputError(f"table={name}: the run has no such table.{nearest(name, there)} It has {', '.join(there)}.")
    table = _chosen(getattr(run, name), columns)
    lists = {str(one): table[one].map(_listed) for one in table if any(map(_is_list, table[one]))}
    files = [folder / f"{name}.csv", folder / f"{name}.tex"]
    write_whole(files[0], table.assign(**lists).to_csv(index=False, lineterminator="\n"))
    caption = f"{name} of {run.info['task']}, {run.name}"
    if columns is None and len(table) > 1:
        same = [one for one in table if one not in lists and table[one].nunique(dropna=False) == 1]
        caption += "".join(f"; {one} {_said(table[one].iloc[0])}" for one in same if one not in ("run", "task"))
        kept = [one for one in table if one not in same]
        table = table[kept or list(table)]
    write_whole(files[1], to_latex(table, caption=caption + ".", label=f"tab:{name}", notes=name))
    return files


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) or (hasattr(value, "ndim") and value.ndim > 0)


def _said(value: Any) -> str:
    import pandas as pd

    return "not known" if pd.isna(value) else str(value)
