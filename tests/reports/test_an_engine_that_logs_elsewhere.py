"""`"log-driver": "journald"` on a host without systemd: no container with the engine's default can start.

The bots have a driver of their own; what is tried before them was refused, and blamed on their folders.
"""

from manager.engine.container_config import HostContext
from manager.ops.checks import build_probe
from manager.ops.folders import mount_probe
from tests.builders import a_fleet, a_spec


def test_what_is_tried_before_a_bot_does_not_depend_on_the_engines_own_logging() -> None:
    place = HostContext(uid=10001, gid=10001, owner=(10001, 10001), image_id="sha256:1", compose_hash="c")
    image = {"Id": "sha256:1", "Config": {}}
    for body in (
        mount_probe.body(a_spec(), a_fleet(), place),
        build_probe.body(image, "desk", []),
    ):
        assert body["HostConfig"]["LogConfig"]["Type"] == "local"
