"""Put back what `docker update` has changed of a container: its limits and its restart policy."""

from manager.config.spec import InstanceSpec
from manager.engine import container_config
from manager.fleet import cgroup_limits
from manager.fleet.definition_drift import RESTART_POLICY
from manager.ops.execution.context import ExecutionContext


def put_back(spec: InstanceSpec, context: ExecutionContext) -> None:
    """Undo a `docker update`: without its restart policy a bot stays down after a reboot. Raises EngineError.

    Limits are set only where they differ: an engine without cgroups refuses any of a container that runs, its
    own ones too.
    """
    container = context.containers[spec.id]
    host = context.engine.inspect(container.id).get("HostConfig") or {}
    unkept = {*container_config.UNKEPT} - cgroup_limits.enforced(container.id) if container.is_up else ()
    names = container_config.were_updated(host, spec, context.fleet, unkept)
    if names:
        ours = container_config.limits(spec, context.fleet)
        policy = {RESTART_POLICY: ours[RESTART_POLICY]}
        context.engine.update(container.id, policy if names == [RESTART_POLICY] else ours)
