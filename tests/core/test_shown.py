"""What is shown of objects: short text, and pages that stand by themselves and that no name can break."""

from html.parser import HTMLParser

import pytest
import torch

from lstm_probe.core.shown import MOST_LINES, MOST_ROWS, Shown, SmallTable, Told, listed, named, sequences_words

HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a\x1b[31m\u202eb", "\u05d0\u05d1", "🙂", "&amp;",
)  # fmt: skip
#: What a page may be made of.
TAGS = {"div", "bdi", "b", "table", "caption", "thead", "tbody", "tr", "th", "td"}


class Page(HTMLParser):
    """Collects elements and text, and fails where an element is not closed."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.texts, self.attributes = [], set(), [], set()
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def checked(page):
    """Return a page's texts, if it is one: closed, of few kinds of elements, with a style on each and nothing else."""
    found = Page(page)
    assert found.tags <= TAGS and found.attributes <= {"style", "scope"}
    return found.texts


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_a_page_or_a_text(name):
    told = Told(name, [name], [SmallTable([name], [[name]], name, name)], [name], [name], sections=[(name, name)])
    texts = checked(told.page())
    assert len(texts) == 9 and len(set(texts)) == 1  # the same text at each place, and nothing of it an element
    assert not set("\x1b\u202e") & set(told.page() + told.text())
    assert told.text().count("\n") == 1


def test_texts_are_short_and_pages_have_all_lines():
    told = Told("title", [f"line {k}" for k in range(20)])
    assert told.text().splitlines() == ["title", *(f"  line {k}" for k in range(MOST_LINES)), "  and 12 more lines"]
    assert checked(told.page()) == ["title", *(f"line {k}" for k in range(20))]


def test_tables_have_their_first_rows_and_numbers_to_the_right():
    page = Told(
        "t", tables=[SmallTable(("n", "word"), [(k, "x") for k in range(MOST_ROWS + 5)], whole=".tensors")]
    ).page()
    texts = checked(page)
    assert texts[-1] == "and 5 more rows: .tensors" and texts[3:7] == ["0", "x", "1", "x"]
    first = page.partition("<tbody>")[2].partition("</tr>")[0]
    assert first.count("text-align:right") == 1 == first.count("text-align:left")
    assert "<table" not in Told("t", tables=[SmallTable(("n",), [])]).page()


def test_pages_have_no_colours_that_one_kind_of_notebook_hides():
    page = Told("t", ["l"], [SmallTable(("n",), [[1]], "c")], sections=[("h", "s")]).page()
    colours = {part.partition(";")[0].partition('"')[0] for part in page.replace("-color:", "").split("color:")[1:]}
    assert colours == {"inherit"} and "white" not in page and "#" not in page


def test_what_cannot_be_told_yet_is_its_kind():
    class Half(Shown):
        def _told(self):
            return Told(self.missing)

    half = Half()
    assert repr(half) == "<Half, not complete>" and half._repr_html_() is None
    half.missing = "there"
    assert repr(half) == "there" and "there" in half._repr_html_()


def test_lists_and_names_have_an_end():
    assert listed(range(20)) == "0, 1, 2, 3, 4, 5, 6, 7 and 12 more"
    assert len(named("x" * 500)) == 60


def test_lengths_on_another_device_stay_there():
    lengths = torch.tensor([3, 7, 5])
    assert sequences_words(lengths, 9) == "3 sequences of 3 to 7 steps"
    assert sequences_words(lengths[:1], 9) == "1 sequence of 3 steps"
    assert sequences_words(lengths[:0], 9) == "0 sequences"
    assert sequences_words(lengths.to("meta"), 9) == "3 sequences of up to 9 steps"
