"""Tables as LaTeX and CSV: nothing is lost, every name is shown as it is, and LaTeX takes it."""

import csv
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

import lstm_probe as lp
from lstm_probe.runs.latex import write_table
from tests.figures.made import made_run

HOSTILE = [
    r"\input{/etc/passwd}", r"\end{tabular}", "a & b", "50 %", "$x_1^2$", "#1", "~{}~", "[2em]", "* starred", "--",
    "Ünïcödé ł ß œ", "λ → ∞ ≤ R² x₁ 1·2", "\N{GRINNING FACE} \u05d0\u05d1 \u4e2d ą",
    'say "no" `so` \'\'', "<|>?`!`", "a\\\\", "^^M",
    "line\nbreak\t\x1b[31m",
]  # fmt: skip


def rows_of(latex):
    """The cells of each line of a table, the head first."""
    body = latex.split("\\toprule\n")[1].split("\\bottomrule")[0].replace("\\midrule\n", "")
    return [re.split(r" & ", line.removesuffix(" \\\\")) for line in body.splitlines()]


def hostile_table():
    values = [np.nan, np.inf, -np.inf, -0.25, 1e-12, *np.linspace(-1e4, 1e4, len(HOSTILE) - 5)]
    return pd.DataFrame({"name_%": HOSTILE, "effect": values, "lag": range(len(HOSTILE)), "tracks": True})


def test_each_cell_stands_where_it_was():
    table = pd.DataFrame({"signal": ["a_b", None], "effect": [0.91723, np.nan], "lag": [-3, 12]})
    table = table.assign(tracks=[True, False], n_units=pd.array([2, None], dtype="Int64"))
    assert rows_of(lp.to_latex(table)) == [
        ["signal", "effect", "lag", "tracks", r"n\_units"],
        [r"a\_b", "0.917", "$-$3", "yes", "2"],
        ["--", "--", "12", "no", "--"],
    ]
    assert r"\begin{tabular}{lrrlr}" in lp.to_latex(table)
    assert rows_of(lp.to_latex(table, columns=["lag", "effect"], digits=1)) == [
        ["lag", "effect"], ["$-$3", "0.9"], ["12", "--"],
    ]  # fmt: skip


def test_caption_label_and_notes():
    table = pd.DataFrame({"unit": [1], "needed": ["alone"], "mine": [0.5]})
    text = lp.to_latex(table, caption="100 % of R²", label="tab:a_b", notes="ablations")
    assert "\\caption{100 \\% of R$^{2}$}\n\\label{tab:a_b}\n" in text and text.count("\\begin{table}") == 1
    meaning = lp.columns("ablations")["unit"]
    assert rf"\textit{{unit}}: {meaning} \\ \textit{{needed}}: " in text and r"\textit{mine}" not in text
    assert r"\textit{mine}: Half \& half." in lp.to_latex(table, notes={"mine": "Half & half."})
    assert r"\begin{table}" not in lp.to_latex(table) and r"\footnotesize" not in lp.to_latex(table)


def test_a_named_index_is_a_column_and_no_other_is():
    table = pd.DataFrame({"unit": [0, 0, 1], "effect": [0.5, 0.25, 1.0]})
    assert rows_of(lp.to_latex(table[table["unit"] == 1])) == [["unit", "effect"], ["1", "1.00"]]
    assert rows_of(lp.to_latex(table.groupby("unit").max())) == [["unit", "effect"], ["0", "0.500"], ["1", "1.00"]]


def test_a_long_table_goes_over_pages():
    short, long = (lp.to_latex(pd.DataFrame({"unit": range(n)}), caption="c", label="l") for n in (45, 46))
    assert "longtable" not in short and r"\begin{table}" in short
    assert r"\usepackage{booktabs,longtable}" in long and r"\begin{table}" not in long
    assert "\\caption{c}\\label{l} \\\\\n\\toprule" in long and long.count("unit \\\\") == 2
    assert "\n45 \\\\\n\\end{longtable}" in long


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"columns": ["efect"]}, "columns: efect: the table has no such column. Did you mean 'effect'? It has unit"),
        ({"columns": []}, "columns: a table needs one at least"), ({"label": "a b"}, "label=a b: must be made of"),
        ({"digits": 0}, "digits=0: must be from 1 to 17"), ({"notes": "probs"}, "columns: probs: no such table."),
    ],
)  # fmt: skip
def test_bad_input(settings, said):
    with pytest.raises(lp.InputError, match=f"^{re.escape(said)}"):
        lp.to_latex(pd.DataFrame({"unit": [1], "effect": [0.5]}), **settings)
    with pytest.raises(lp.InputError, match="needs one at least"):
        lp.to_latex(pd.DataFrame())


def test_hostile_names_are_text():
    latex = lp.to_latex(hostile_table(), caption=HOSTILE[0], notes={"name_%": HOSTILE[1]})
    assert latex.isascii() and latex.count(r"\end{tabular}") == 1 and r"\input{" not in latex
    rows = rows_of(latex)
    assert len(rows) == len(HOSTILE) + 1 and {len(row) for row in rows} == {4}
    assert not [row for row in rows if row[0].startswith(("[", "*"))]  # which would belong to the line break before


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_takes_it(tmp_path):
    long = pd.concat([hostile_table()] * 3, ignore_index=True)
    tables = [lp.to_latex(hostile_table(), caption=HOSTILE[1], label="tab:a_b", notes={"name_%": " ".join(HOSTILE)}),
              lp.to_latex(long, caption="Long", label="b", notes={"lag": "Steps."}), lp.to_latex(long),
              *(lp.to_latex(hostile_table()[["name_%"]].loc[[k]]) for k in range(len(HOSTILE)))]  # fmt: skip
    packages = r"\usepackage{booktabs,longtable}"
    text = "\n\n".join([r"\documentclass{article}", packages, r"\begin{document}", *tables, r"\end{document}"])
    (tmp_path / "page.tex").write_text(text, encoding="ascii")
    done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "page.tex"],
                          cwd=tmp_path, capture_output=True, text=True, errors="replace")  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "page.log").read_text(errors="replace")
    assert "Missing character" not in log and "undefined" not in log.replace("There were undefined references", "")


def same(read, value):
    """Whether a CSV's text is this value, exactly."""
    if isinstance(value, list | np.ndarray):
        return json.loads(read) == list(value)
    if pd.isna(value):
        return read == ""
    return read == str(value) if isinstance(value, str | bool | np.bool_) else float(read) == value


@pytest.mark.parametrize("name", ["probes", "ablations", "history"])
def test_the_csv_is_the_table(tmp_path, name):
    run = made_run(tmp_path, units=3)
    table = getattr(run, name)
    numbers = table.select_dtypes(float).columns
    table[numbers] = table[numbers] + np.random.default_rng(0).normal(size=table[numbers].shape)
    table.loc[table.index[1], numbers[0]] = np.nan
    table.loc[table.index[2], numbers[0]] = np.inf
    files = write_table(run, name, tmp_path)
    assert files == [tmp_path / f"{name}.csv", tmp_path / f"{name}.tex"]
    head, *rows = csv.reader(io.StringIO(files[0].read_bytes().decode(), newline=""))
    assert head == list(table) and len(rows) == len(table)
    for row, values in zip(rows, table.itertuples(index=False)):
        assert all(map(same, row, values))


def test_lists_are_json_and_what_is_the_same_everywhere_stands_in_the_caption(tmp_path):
    run = made_run(tmp_path)
    state = [[0.1 + 0.2, -1.0], [1e-300, 2.0]]
    arrays = [np.array(one) for one in state]  # as parquet gives them back
    run.__dict__["populations"] = run.populations.iloc[:2].assign(score=[0.5, 0.25], states=arrays, name_="ü")
    csv_file, tex = write_table(run, "populations", tmp_path)
    rows = list(csv.DictReader(io.StringIO(csv_file.read_bytes().decode(), newline="")))
    assert [json.loads(row["states"]) for row in rows] == state
    text = tex.read_text(encoding="ascii")
    assert "\\label{tab:populations}" in text and "; variable c;" in text and '; name\\_ \\"{u}' in text
    columns = rows_of(text)[0]
    assert {"signal", "score", "states"} <= {*columns} and not {"variable", "units"} & {*columns}
    assert "\\textit{score}: " in text
    tex = write_table(run, "populations", tmp_path, columns=["variable", "score"])[1].read_text()
    assert rows_of(tex) == [["variable", "score"], ["c", "0.500"], ["c", "0.250"]]


def test_a_table_that_the_run_does_not_have(tmp_path):
    with pytest.raises(lp.InputError, match=r"table=probs: the run has no such table\. Did you mean 'probes'"):
        write_table(made_run(tmp_path), "probs", tmp_path)
    with pytest.raises(lp.InputError, match="table=memory: the run has no such table"):
        write_table(made_run(tmp_path), "memory", tmp_path)
