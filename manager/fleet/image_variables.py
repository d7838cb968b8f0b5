"""Remember which variables the image of the user's own bot allows configs to reference.

The image says it (`manager build --bot` records it there); configs are checked without an engine.
"""

from __future__ import annotations

from contextlib import suppress

from manager.config.dotenv import NAME
from manager.config.fleet import Fleet
from manager.typed import Any
from manager.util import atomic_file, ownership, strict_json


def with_known(fleet: Fleet) -> Fleet:
    """Return the fleet with the names that its image was last seen to have."""
    names = load(fleet)
    return fleet if names == fleet.image_variables else fleet._replace(image_variables=names)


def load(fleet: Fleet) -> tuple[str, ...]:
    """Return the remembered names; none of another image's, and none for the bundled bot."""
    if fleet.is_bundled_bot:
        return ()
    try:
        content: Any = strict_json.read(fleet.image_variables_file)
        if content["image"] != fleet.image_name:
            return ()
        return tuple(sorted({name for name in map(str, content["names"]) if NAME.fullmatch(name)}))
    except (strict_json.JsonFault, TypeError, KeyError, OSError):
        return ()


def save(fleet: Fleet, names: tuple[str, ...]) -> bool:
    """Remember them, and return whether that changes anything. What cannot be written is not remembered."""
    if fleet.is_bundled_bot or names == load(fleet):
        return False
    with suppress(OSError):
        ownership.make_folder(fleet.state_dir)
        atomic_file.write_atomically(
            fleet.image_variables_file, {"image": fleet.image_name, "names": list(names)}
        )
        ownership.give_to_folder_owner(fleet.image_variables_file)
        return True
    return False
