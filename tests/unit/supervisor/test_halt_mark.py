from pathlib import Path

import pytest

from supervisor import halt_mark


def test_no_mark(tmp_path: Path) -> None:
    assert halt_mark.read(str(tmp_path / "halted")) is None
    assert halt_mark.read(str(tmp_path / "missing/halted")) is None


@pytest.mark.parametrize(
    ("content", "by", "nonce"),
    [
        ('{"nonce": "a-1", "at": 1764529290.5, "by": "halt"}', "halt", "a-1"),
        ('{"nonce": "' + "x" * 99 + '", "by": "a b"}', "", "x" * 64),
        ('{"nonce": 1, "by": null}', "", ""),
        ("", "", ""),
        ("[]", "", ""),
        ("[" * 4000, "", ""),
        ("\x00" * 5000, "", ""),
    ],
)
def test_every_content_counts(tmp_path: Path, content: str, by: str, nonce: str) -> None:
    (tmp_path / "halted").write_text(content)
    mark = halt_mark.read(str(tmp_path / "halted"))
    assert mark is not None
    assert mark.as_json() == {"code": "halted", "params": {"by": by, "nonce": nonce}}


def test_what_cannot_be_read_counts(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").touch()
    for name in ("folder", "link", "file/halted"):
        assert halt_mark.read(str(tmp_path / name)) is not None, name
