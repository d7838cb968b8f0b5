"""What a command says of an instance for which it waits no longer: as much as anybody knows."""

from __future__ import annotations

from typing import Any

import pytest

from manager.fleet import causes, supervisor_state
from manager.fleet.instance import Instance
from manager.fleet.state_file import InstanceState
from manager.fleet.status import Status
from manager.i18n import Text
from tests.builders import a_container, a_supervisor_file

REFUSED = {"code": "connection_failed", "params": {"error": "connection refused"}}


def a_view(why: Text | None = None, **state: Any) -> Instance:
    container = a_container()
    file = a_supervisor_file(**{"state": "starting", "container": container.id, **state})
    supervisor = supervisor_state._decoded(file)
    return Instance("a", Status("starting", why=why), (), None, container, supervisor, InstanceState())


@pytest.mark.parametrize(
    ("view", "text"),
    [
        (a_view(Text("waiting its turn"), bot_pid=None), "waiting its turn"),
        (a_view(container="another"), "its supervisor has not reported yet"),
        (a_view()._replace(supervisor=None), "its supervisor has not reported yet"),
        (a_view(bot_pid=None), "its bot has not been started yet"),
        (a_view(health={"ok": None}), "its bot has just been started"),
        (a_view()._replace(status=Status("missing")), "cause unknown"),
        (a_view(health={"reason": REFUSED}), "its bot is not ready yet: Connection refused"),
        (a_view(health={"detail": "no HTTP answer"}), "its bot is not ready yet: no HTTP answer"),
    ],
)
def test_what_is_known_of_a_bot_that_is_not_healthy_yet(view: Instance, text: str) -> None:
    assert str(causes.of_waiting(view)) == text
