"""Which images a manager works with: those of its own contract, and those of every one before it."""

from __future__ import annotations

import pytest

from manager.engine.labels import NEWEST_CONTRACT, OLDEST_CONTRACT, is_contract, is_known_contract


@pytest.mark.parametrize(
    ("version", "newest", "expected"),
    [
        ("1", 1, True),
        ("1", 3, True),
        ("3", 3, True),
        ("4", 3, False),
        ("0", 3, False),
        ("", 3, False),
        ("-1", 3, False),
        ("1.5", 3, False),
        ("²", 3, False),
        ("one", 3, False),
    ],
)
def test_every_contract_up_to_the_newest_is_known(version: str, newest: int, expected: bool) -> None:
    assert is_known_contract(version, newest) is expected


def test_images_of_the_first_contract_are_known_for_ever() -> None:
    assert OLDEST_CONTRACT == 1
    assert is_known_contract("1")
    assert is_known_contract(str(NEWEST_CONTRACT))
    assert not is_known_contract(str(NEWEST_CONTRACT + 1))


def test_what_is_no_number_is_no_contract() -> None:
    assert is_contract("12")
    assert not any(map(is_contract, ("", "v1", "1 ", "²")))
