"""Links in a circle are files that cannot be read, wherever the manager meets them."""

import re
from pathlib import Path

import pytest

from manager.util.real_path import real_path

PACKAGE = Path(__file__).parents[3] / "manager"


def test_a_link_in_a_circle_stays_as_it_is(tmp_path: Path) -> None:
    for name, target in (("one", "two"), ("two", "one")):
        (tmp_path / name).symlink_to(target)
    circle = real_path(tmp_path / "one")
    assert circle.parent == tmp_path
    with pytest.raises(OSError, match="symbolic links"):
        circle.read_text()


def test_nothing_else_follows_links() -> None:
    """`Path.resolve` raises RuntimeError for a circle before Python 3.13, which nobody catches."""
    lines = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text().splitlines()
        if re.search(r"\.resolve\((strict=\w+)?\)", line) and "__file__" not in line
    ]
    assert lines == []
