"""Templates of the pages: their styles, their scripts, and the policy that lets these run and nothing else.

A page asks nobody for anything: its style and its script stand in it, and a policy names both by digest, so that no
other one would run, wherever it came from. What a script reads is an island of JSON, which is no script.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from lstm_probe.core.errors import clean
from lstm_probe.core.files import write_whole
from lstm_probe.core.numbers import cell, number
from lstm_probe.core.vocabulary import ROLES
from lstm_probe.findings import need_words, words
from lstm_probe.findings.evidence import LEAST_PARTIAL
from lstm_probe.probing.analyses.seeds import FEWEST_SEEDS

TEMPLATES = Path(__file__).parent / "templates"

#: What every page looks like; and what it can do. In this order, from the folders of the same names. The scripts of
#: each group know each other's names, and no other group's.
STYLES = ("page.css", "table.css", "explorer.css", "explorer_text.css")
SCRIPTS = (
    ("page.js",), ("table.js",),
    ("explorer_data.js", "explorer_words.js", "explorer_draw.js", "explorer_keys.js", "explorer_text.js",
     "explorer_match.js", "explorer_map.js", "explorer_curves.js", "explorer_unit.js", "explorer_signal.js",
     "explorer_select.js", "explorer.js"),
)  # fmt: skip

#: Letters of scripts that are written from the right to the left, with what stands between them.
_FROM_RIGHT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
FROM_RIGHT = re.compile(f"[{_FROM_RIGHT}](?:[^A-Za-z0-9:;,.()<>&]*[{_FROM_RIGHT}])*")


@cache
def style(names: Sequence[str] = STYLES) -> str:
    """Return the style sheets as one text."""
    return "".join((TEMPLATES / "styles" / name).read_text(encoding="utf-8") for name in names)


@cache
def script(groups: Sequence[Sequence[str]] = SCRIPTS) -> str:
    """Return the scripts as one text that leaves no name behind."""
    texts = ["".join((TEMPLATES / "scripts" / name).read_text(encoding="utf-8") for name in names) for names in groups]
    return "".join(f'(() => {{\n"use strict";\n{text}}})();\n' for text in texts)


def digest(text: str) -> str:
    """Return how a policy names a script or a style sheet.

    >>> digest("")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy(*, style: str, script: str = "") -> str:
    """Return the Content-Security-Policy of a page with this style and this script."""
    scripts = f"; script-src {digest(script)}" if script else ""
    return (f"default-src 'none'; style-src {digest(style)}{scripts}; img-src data:; base-uri 'none'; "
            "form-action 'none'")  # fmt: skip


def island(name: str, value: Any) -> Markup:
    """Return data for the page's script, as an element that runs nowhere and that no text in it can end.

    Args:
        name: the element's id.
        value: what JSON can say; NaN and infinities become null.
    """
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(f'<script type="application/json" id="{name}">{text}</script>')


def _plain(value: Any) -> Any:
    """Return the same without what JSON does not know, or a page does not show."""
    if isinstance(value, dict):
        return {clean(str(key), None): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, str):
        return clean(value, None, keep="\n\t")
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value


def _without_controls(value: Any) -> Any:
    """Return what stands on the page, without the control characters that a name from a file may have."""
    return clean(value, None, keep="\n\t") if type(value) is str else value


def sentence(text: object) -> Markup:
    """Return words that may quote names, escaped; what is written from the right keeps to itself. Markup stays.

    >>> sentence("<b>: unit 3, \u05d0\u05d1 0.77")
    Markup('&lt;b&gt;: unit 3, <bdi>\u05d0\u05d1</bdi> 0.77')
    """
    if isinstance(text, Markup):
        return text
    whole = escape(_without_controls(str(text)))
    return Markup(FROM_RIGHT.sub(lambda found: f"<bdi>{found[0]}</bdi>", str(whole)))


@cache
def environment() -> jinja2.Environment:
    """Return where templates are found; whatever they are given is escaped."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined, finalize=_without_controls,
    )  # fmt: skip
    made.filters["number"] = number
    made.filters["cell"] = cell
    made.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    made.filters["sentence"] = sentence
    made.globals |= {
        "island": island, "policy": policy, "page_style": style, "page_script": script,
        "STYLES": STYLES, "SCRIPTS": SCRIPTS,
        "words": words, "needs": need_words, "FEWEST_SEEDS": FEWEST_SEEDS, "LEAST_PARTIAL": LEAST_PARTIAL,
        "ROLES": ROLES,
    }  # fmt: skip
    return made


@cache
def template(name: str) -> jinja2.Template:
    """Return a template by its file's name."""
    return environment().get_template(name)


def write(path: Path, text: str) -> Path:
    """Write a page whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)
    return path
