from __future__ import annotations

import html
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from airflow_provider_ollang.cleanup.stale import StaleOrder
from airflow_provider_ollang.cleanup.summary import escape, summarize

NASTY = [
    "a | b",
    "a || b |\n| 1 | 2 | 3 | 4 | 5 | 6 |",
    "line\r\nbreak\n\nparagraph",
    "# title",
    "[click](javascript:alert(1))",
    "![pixel](https://evil.invalid/x.png)",
    "[ref]: https://evil.invalid",
    "<script>alert(1)</script>",
    "<https://evil.invalid>",
    "<!-- ",
    "&lt;b&gt; &#124;",
    "`code` **bold** __bold__ ~~gone~~ *it* _it_",
    "\\| \\",
    "$x$ :smile: @someone #1",
    "\u202egnp.exe\u2028\u2029\x00\x1b[31m\u200b",
    "---",
    ":--",
    "   ",
    "|",
]


def order(**fields: Any) -> StaleOrder:
    known = {"id": "o-1", "name": "n", "type": "cc", "status": "pending", "createdAt": "x"}
    return StaleOrder(**{**known, "projectId": "p-1", "age": 9.5, **fields})


def rows_of(markdown: str) -> list[list[str]]:
    """Return the texts of the table's cells, and see that there is text in it only."""
    rows: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline" and rows:
            children = token.children or []
            assert {child.type for child in children} <= {"text", "text_special"}
            text = "".join(child.content for child in children)
            rows[-1].append(text.replace("\u200b", ""))  # it may stand there to keep links off
        assert token.type not in ("html_block", "fence", "heading_open", "bullet_list_open")
    return rows


@given(st.text() | st.sampled_from(NASTY), st.text() | st.sampled_from(NASTY))
@example("a | b", "[x](javascript:alert(1))")
def test_no_text_adds_a_row_a_column_a_link_or_html(name, project):
    rows = rows_of(summarize([order(name=name, projectId=project), order(id="o-2")]))
    assert [len(row) for row in rows] == [7, 7, 7]
    assert (rows[1][-1], rows[2][-1]) == ("o-1", "o-2")
    shown = " ".join(name.split()) if name.isprintable() and len(name) <= 80 else None
    assert shown is None or " ".join(rows[1][1].split()) == shown


@given(st.text())
def test_an_escaped_text_is_short_and_plain(text):
    cell = escape(text)
    assert len(html.unescape(cell).replace("\u200b", "")) <= 80
    assert re.search(r"[|\[\]<>()!`*_~\\\n\r:/@$]", cell) is None
    assert cell.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "www.evil.invalid",
        "see WWW.evil.invalid/x",
        "https://evil.invalid",
        "HTTP://evil.invalid",
        "someone@evil.invalid",
    ],
)
def test_an_address_in_a_name_does_not_become_a_link(text):
    # GitHub's dialect, which Airflow shows, makes links of bare addresses, some renderers even
    # after they have resolved entities.
    shown = html.unescape(escape(text))
    assert re.search(r"https?://|www\.\w|\w@\w", shown, re.IGNORECASE) is None
    assert shown.replace("\u200b", "") == text


@pytest.mark.parametrize("text", ["Q1 report, v2.1 - final…", "Übersetzung 日本語 résumé"])
def test_a_harmless_name_reads_as_it_is(text):
    assert escape(text) == text


def test_the_summary_says_how_many_there_are():
    summary = summarize([order(), order(id="o-2")], left_out=3, invalid=4)
    assert summary.splitlines()[0] == (
        "**2 stale orders**; 3 more left for later runs; 4 skipped as invalid."
    )


def test_without_orders_there_is_no_table():
    assert summarize([]) == "**0 stale orders**."


def test_at_most_100_orders_are_shown():
    summary = summarize([order(id=f"o-{number}") for number in range(103)])
    assert len(rows_of(summary)) == 101
    assert "**103 stale orders**" in summary
    assert summary.endswith("… and 3 more.")


def test_the_summary_fits_where_airflow_keeps_an_approvals_body():
    summary = summarize([order(id="_" * 128)] * 100)
    assert len(summary.encode()) < 65_535  # MySQL's TEXT
    shown = len(rows_of(summary)) - 1
    assert 0 < shown < 100
    assert summary.endswith(f"… and {100 - shown} more.")


@pytest.mark.parametrize("text", ["\u65e5", "Q1_(final)/", "a.b "])
def test_a_hundred_orders_are_shown_whatever_their_names(text):
    """Whoever approves a finding of at most 100 orders has seen all of them."""
    long = text * 80
    orders = [order(id="0" * 24, name=long, projectId=long)] * 100
    assert len(rows_of(summarize(orders))) == 1 + 100


def test_what_is_missing_is_an_empty_cell():
    rows = rows_of(summarize([order(name=None, type=None, projectId=None)]))
    assert rows == [
        ["age in days", "name", "languages", "type", "project", "status", "id"],
        ["9.5", "", "", "", "", "pending", "o-1"],
    ]


@pytest.mark.parametrize(
    ("source", "target", "cell"),
    [("en", "fr", "en → fr"), (None, "fr", "? → fr"), ("en", "", "en → ?")],
)
def test_languages_are_one_column(source, target, cell):
    rows = rows_of(summarize([order(sourceLanguage=source, targetLanguage=target)]))
    assert rows[1][2] == cell


@pytest.mark.parametrize("char", ["x", "Ｘ", "﷽", "日", "\u0301", "\u200b", "\u202e", "_"])
def test_a_wide_name_can_be_broken_so_that_no_column_is_pushed_away(char):
    [row] = summarize([order(name=char * 1_500_000)]).splitlines()[-1:]
    shown = html.unescape(row.split(" | ")[1])
    assert all(len(part) <= 31 for part in re.split("[\u200b ]", shown))
    assert len(row) < 1000
