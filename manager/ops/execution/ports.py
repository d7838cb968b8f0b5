"""Tell whether a bot's web port is free, and who has it if not."""

from __future__ import annotations

from collections.abc import Collection

from manager.config.spec import InstanceSpec
from manager.engine import port_holder
from manager.errors import EngineError, ManagerError, PortInUse
from manager.fleet import host
from manager.i18n import mark
from manager.ops.execution.context import ExecutionContext


def fault(
    instance: str, context: ExecutionContext, freed: Collection[int | None] = ()
) -> ManagerError | None:
    """Return the error if the container would get a new port that is in use, and not about to be freed."""
    spec, present = context.specs[instance], context.containers[instance].web_port
    if spec.web_port is None or spec.web_port == present or spec.web_port in freed:
        return None
    if context.port_choice is not None and context.port_choice.is_open(instance):
        return None
    if host.is_port_free(context.fleet.bind_address, spec.web_port):
        return None
    return _in_use(spec, spec.web_port, context)


def start_error(instance: str, error: EngineError, context: ExecutionContext) -> ManagerError:
    """Return what to say of a start that the engine has refused."""
    text = str(error)
    spec = context.specs.get(instance)
    if (
        spec is not None
        and spec.web_port is not None
        and ("port is already allocated" in text or "address already in use" in text)
    ):
        return _in_use(spec, spec.web_port, context)
    return type(error)(mark("cannot start {id}: {why}"), id=instance, why=text)


def chosen_anew(instance: str, error: PortInUse, context: ExecutionContext) -> ExecutionContext | None:
    """Return the context with another port for the instance; None if it can have no other.

    Raises ManagerError.
    """
    another = context.port_choice.another(instance, error) if context.port_choice is not None else None
    if another is None:
        return None
    spec, compose_hash = another
    place = context.place(instance)._replace(compose_hash=compose_hash)
    return context._replace(specs={**context.specs, instance: spec}, place=lambda _instance: place)


def _in_use(spec: InstanceSpec, port: int, context: ExecutionContext) -> PortInUse:
    return PortInUse(
        "cannot start {id}: port {port} is in use by {holder}; free it, or change daemon_config.web_port in"
        " {file}",
        id=spec.id,
        port=port,
        holder=port_holder.holder(port, context.engine, context.fleet.name),
        file=spec.config_file,
    )
