"""What doctor advises: commands that exist on the machine that it is printed on."""

from __future__ import annotations

from itertools import product

import pytest

from manager.monitor.doctor import remedies


@pytest.mark.parametrize("is_rootless", [True, False])
def test_without_systemd_nothing_is_asked_of_it(is_rootless: bool) -> None:
    texts = [
        remedies.live_restore(is_rootless=is_rootless, has_systemd=False),
        *(remedies.time_service(has_systemd=False, has_apt=has_apt) for has_apt in (True, False)),
    ]
    for text in texts:
        assert "systemctl" not in f"{text}"
        assert "timedatectl" not in f"{text}"
    assert "kill -HUP $(cat " in f"{texts[0]}"


def test_without_apt_nothing_is_asked_of_it() -> None:
    for has_systemd in (True, False):
        assert "apt" not in f"{remedies.time_service(has_systemd=has_systemd, has_apt=False)}"


def test_a_rootless_engine_reads_a_file_of_its_users() -> None:
    for has_systemd in (True, False):
        assert "/etc/" not in f"{remedies.live_restore(is_rootless=True, has_systemd=has_systemd)}"
        assert (
            "/etc/docker/daemon.json"
            in f"{remedies.live_restore(is_rootless=False, has_systemd=has_systemd)}"
        )


def test_where_both_are_there_the_shortest_way_is_said() -> None:
    assert "`systemctl reload docker`" in f"{remedies.live_restore(is_rootless=False, has_systemd=True)}"
    advice = {
        f"{remedies.time_service(has_systemd=a, has_apt=b)}" for a, b in product((True, False), repeat=2)
    }
    assert len(advice) == 4
