"""Tables in tabulate's formats: every cell whole, and where it belongs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.util import drawn_table, text_table

HEADS = ("ID", "狀態", "N")
ROWS = (("bp_sol_01", "運行中", "7"), ("007", "1e5", "12"))


def test_chinese_is_aligned_in_a_plain_table() -> None:
    assert drawn_table.draw(HEADS, ROWS, numbers=[2]).splitlines() == [
        "ID         狀態     N",
        "bp_sol_01  運行中   7",
        "007        1e5     12",
    ]


def test_a_plain_table_is_as_wide_as_the_terminals_renderer_counts() -> None:
    """`stats` chooses its columns by text_table's widths, and has tabulate draw them."""
    assert drawn_table.draw(HEADS, ROWS) == text_table.plain(HEADS, ROWS).text


@given(
    st.lists(
        st.text(st.sampled_from("aZ09 ._-中文，（）「」éß🟢🔴…→"), max_size=12).map(str.strip), min_size=1
    )
)
def test_both_renderers_count_alike(words: list[str]) -> None:
    rows = [(word, "x") for word in words]
    assert drawn_table.draw(("ID", "X"), rows) == text_table.plain(("ID", "X"), rows).text


def test_tsv_has_every_field_and_no_padding() -> None:
    text = drawn_table.draw(("A", "B", "C"), [("1", "", ""), ("a\tb\nc", "\x1b[31mred\x1b[0m", " ")], "tsv")
    assert text == "A\tB\tC\n1\t\t\na b c\tred\t"


def test_a_bar_in_a_cell_ends_no_cell() -> None:
    assert "a\\|b" in drawn_table.draw(("A",), [("a|b",)], "github")
    assert "a|b" in drawn_table.draw(("A",), [("a|b",)])


def test_html_is_escaped() -> None:
    assert "&lt;b&gt;" in drawn_table.draw(("A",), [("<b>",)], "html")


@pytest.mark.parametrize("style", drawn_table.formats())
def test_every_format_draws_with_rows_and_without(style: str) -> None:
    assert "bp_sol_01" in drawn_table.draw(HEADS, ROWS, style, [2]).replace("\\_", "_")
    assert "ID" in drawn_table.draw(HEADS, [], style, [2])
