"""What a bot of the user's own reads from its environment: found when its image is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.engine import bot_variables, labels
from manager.engine.bot_variables import find, in_labels
from manager.engine.environment_reads import names_in


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import os\nk = os.environ['MY_KEY']", ["MY_KEY"]),
        ("k = os.environ.get('MY_KEY', '') or os.getenv('OTHER')", ["MY_KEY", "OTHER"]),
        ("from os import environ, getenv\nenviron.pop('A')\ngetenv('B')", ["A", "B"]),
        ("if 'FLAG' in os.environ: pass", ["FLAG"]),
        ("os.environ[name]; os.getenv(f'{x}_KEY'); config.get('NO'); d['NO']", []),
        ("from os import environ as e, getenv as g, path as p\ne['A']; g('B'); p.get('NO')", ["A", "B"]),
        ("import os\nenv = os.environ\nread = os.getenv\nenv.get('A'); env['B']; read('C')", ["A", "B", "C"]),
        ("env = {}\nenv['NO']; env.get('NO')", []),
        ("print 'python 2'", []),
        ("\0", []),
        ("(" * 5000, []),
    ],
)
def test_names_are_those_that_a_program_reads_literally(source: str, names: list[str]) -> None:
    assert sorted(names_in(source)) == names


def test_a_folder_s_programs_and_its_example_count_and_what_steers_does_not(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "run.py").write_text("os.getenv('WALLET_PHRASE'); os.getenv('LD_PRELOAD'); os.getenv('a b')")
    (tmp_path / "pkg" / "x.py").write_text("os.getenv('IN_PACKAGE'); os.getenv('HTTPS_PROXY')")
    (tmp_path / "windows.py").write_text("os.getenv('OF_WINDOWS')", encoding="utf-8-sig")
    (tmp_path / "tests" / "y.py").write_text("os.getenv('OF_TESTS')")
    (tmp_path / "pipe.py").symlink_to("/dev/zero")
    (tmp_path / ".env.example").write_text("# say\nexport EXAMPLE=1\nTRADING_MODE=live\n")
    assert find(tmp_path) == ("EXAMPLE", "IN_PACKAGE", "OF_WINDOWS", "WALLET_PHRASE")


def test_an_image_s_label_allows_no_steering_and_not_without_end() -> None:
    def image(text: str) -> dict[str, object]:
        return {"Config": {"Labels": {labels.VARIABLES: text}}}

    assert in_labels(image("B_KEY,A_KEY,LD_PRELOAD,x y,")) == ("A_KEY", "B_KEY")
    assert in_labels({"Config": None}) == in_labels(image("")) == ()
    assert len(in_labels(image(",".join(f"N{i}" for i in range(999))))) == bot_variables.MOST_NAMES
