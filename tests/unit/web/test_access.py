"""Which codes, names and stored sessions count."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from manager.web import access
from manager.web.address import Reach, ip_of
from manager.web.web_side.sign_in import SessionStore


@pytest.mark.parametrize(("steps", "counts"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_counts_for_clocks_that_differ_by_one_step(steps: int, *, counts: bool) -> None:
    secret, now = access.new_totp(), 1_764_500_000.0
    present = int(now // access.CODE_S)
    code = access.code(secret, present + steps)
    assert access.step_of_code(secret, code, now) == (present + steps if counts else None)


def test_on_loopback_no_other_address_is_ours() -> None:
    """A name of another machine can be made to lead here; its address in the Host tells that it was meant."""
    assert not Reach().is_ours("192.0.2.7:8800")
    assert Reach(is_loopback=False).is_ours("192.0.2.7:8800")


def test_an_address_of_ipv4_within_ipv6_is_that_of_ipv4() -> None:
    assert ip_of("::ffff:192.0.2.7") == ip_of("192.0.2.7")


def test_sessions_of_a_role_that_nobody_knows_sign_everybody_out(tmp_path: Path) -> None:
    """A later version has written them; what they may do is not known here."""
    file = os.open(tmp_path / "sessions", os.O_RDWR | os.O_CREAT)
    try:
        store = SessionStore(file)
        made = store.open_session("read")
        assert SessionStore(file).session(made.cookie, made.token) is not None
        content = os.pread(file, 1 << 20, 0).replace(b'"read"', b'"rule"')
        assert json.loads(content)["sessions"]
        os.ftruncate(file, 0)
        os.pwrite(file, content, 0)
        assert SessionStore(file).session(made.cookie, made.token) is None
    finally:
        os.close(file)
