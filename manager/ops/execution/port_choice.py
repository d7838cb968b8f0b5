"""Choose another web port where another program took the chosen one before the container was started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock

from manager.config.spec import InstanceSpec, config_hash
from manager.fleet import host, state_file
from manager.i18n import Text
from manager.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from manager.errors import PortInUse
    from manager.fleet.observe import FleetSnapshot

MOST_PORTS = 10  # each refused start costs the engine a fifth of a second

ComposeHashes = Callable[[Mapping[str, InstanceSpec]], Mapping[str, str]]


class PortChoice:
    """Hold the web ports that this command has chosen, and choose others.

    A port that a config names, that a container has, or that an earlier command has saved is never changed.
    """

    def __init__(self, snapshot: FleetSnapshot, compose_hashes: ComposeHashes) -> None:
        project, containers = snapshot.project, snapshot.plan_input.containers
        self._fleet, self._compose_hashes = project.fleet, compose_hashes
        self._lock = Lock()
        self._specs = dict(project.specs)
        self._used = {container.web_port for container in containers.values()}
        self._refused: dict[str, list[PortInUse]] = {}
        self._open = frozenset(
            spec.id
            for spec in project.loaded.specs
            if spec.web_port is None
            and (spec.id not in containers or containers[spec.id].web_port != self._specs[spec.id].web_port)
            and project.fleet_state.of(spec.id).web_port != self._specs[spec.id].web_port
        )

    def is_open(self, instance: str) -> bool:
        """Return whether the instance may be given another port."""
        return instance in self._open

    def another(self, instance: str, error: PortInUse) -> tuple[InstanceSpec, str] | None:
        """Choose and save the next free port after `error`. Raises ManagerError.

        Returns the spec with Compose's hash of its service; None where the port is fixed, or none was found
        in a few attempts.
        """
        with self._lock:  # several instances may be looking for one
            refused = self._refused.setdefault(instance, [])
            refused.append(error)
            if instance not in self._open or len(refused) >= MOST_PORTS:
                return None
            self._used.add(self._specs[instance].web_port)
            used = {*self._used, *(spec.web_port for spec in self._specs.values())}
            ports = state_file.assign_ports(
                [instance],
                {},
                [port for port in used if port is not None],
                lambda port: host.is_port_free(self._fleet.bind_address, port),
            )
            if instance not in ports:
                return None
            state_file.update(self._fleet, lambda state: state.with_ports(ports))
            spec = self._specs[instance].with_port(ports[instance])
            self._specs[instance] = spec
            specs = dict(self._specs)
        return spec, self._compose_hashes(specs).get(instance) or config_hash(spec, self._fleet)

    def notice(self, instance: str) -> Text | None:
        """Return what to tell of an instance that was given another port; None of the others."""
        refused = self._refused.get(instance)
        if not refused:
            return None
        return Text(
            "{id}: port {port} was taken by {holder} meanwhile; it has port {now} now",
            id=instance,
            port=refused[0].text.params["port"],
            holder=refused[0].text.params["holder"],
            now=self._specs[instance].web_port,
        )
