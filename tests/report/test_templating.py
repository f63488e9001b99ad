"""What a page may run, and how data get into it: whatever a name says, it stays data."""

import base64
import hashlib
import json
import re

import pytest

from lstm_probe.report.templating import digest, island, policy, script, style

HOSTILE = [
    "</script><script>alert(1)</script>", "<!--<script>", "\"'><img src=x onerror=alert(1)>",
    "\N{GRINNING FACE} \u05d0\u05d1\u05d2", "&lt;b&gt; {{ 7 * 7 }} {% raw %}", "]]>", "\\u003c",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_ends_an_island_and_all_of_it_arrives(name):
    text = str(island("data", {name: [name, 1.5, float("nan"), None, True]}))
    found = re.fullmatch(r'<script type="application/json" id="data">([^<>&]*)</script>', text)
    assert found and json.loads(found[1]) == {name: [name, 1.5, None, None, True]}


def test_control_characters_and_line_separators_are_spelt_out():
    text = str(island("data", ["a\x00b\x1b[31m\u2028\u2029"]))
    assert not {"\x00", "\x1b", "\u2028", "\u2029"} & {*text, *json.loads(re.sub("<[^>]*>", "", text))[0]}


def test_a_policy_names_style_and_script_by_their_digests_and_allows_nothing_else():
    for text in (style(), script()):
        own = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert digest(text) == f"'sha256-{own}'"
        assert own in policy(style=style(), script=script())
    parts = dict(part.split(" ", 1) for part in policy(style="a", script="b").split("; "))
    assert parts["default-src"] == parts["base-uri"] == parts["form-action"] == "'none'"
    assert "unsafe" not in policy(style="a", script="b") and "http" not in policy(style="a", script="b")
