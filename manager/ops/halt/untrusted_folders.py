"""Name the folders of instances that are another user's links: what is read there proves nothing."""

from collections.abc import Iterable
from pathlib import Path

from manager.config.fleet import Fleet
from manager.errors import ManagerError
from manager.i18n import Text
from manager.util.trusted_folder import require_trusted


def error(fleet: Fleet, instances: Iterable[str]) -> ManagerError | None:
    """Return which folders somebody replaced by a link that is not followed.

    The folder of all instances' states or secrets is named once.
    """
    faults = []
    for whole, own in (
        (fleet.state_dir, fleet.instance_state_dir),
        (fleet.all_secrets_dir, fleet.secrets_dir),
    ):
        if why := _distrust(whole):
            faults.append(why)
        else:
            faults += [why for instance in instances if (why := _distrust(own(instance)))]
    return ManagerError("{problems}", problems="\n".join(faults)) if faults else None


def _distrust(folder: Path) -> str:
    try:
        require_trusted(folder)
    except OSError as error:
        return str(Text("cannot rely on {path}: {why}", path=folder, why=error.strerror or error))
    return ""
