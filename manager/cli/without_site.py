"""Do later what Python does at its start, where a short command needs it.

That is `site`, which finds what is installed. With what it loads it takes a third of the interpreter's start.
The `manager` that scripts/venv.sh installs starts Python without it: what the standby runs needs none of it,
and `ps` nothing that is installed. Where the command is started in another way, Python has done it.
"""

from __future__ import annotations

import sys
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

OWN = "manager"


class _Late:
    """Find no module, but have `site` run before one is searched for that is not of the library."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._has_run = False

    def find_spec(self, name: str, path: object = None, _target: object = None) -> ModuleSpec | None:
        if path is None and name != OWN and name not in sys.stdlib_module_names:
            self.run()
        return None

    def run(self) -> None:
        """Run it, once. Another thread waits: it would not find what is installed."""
        with self._lock:
            if self._has_run:
                return
            self._has_run = True  # it imports such modules too, as `sitecustomize`
            import site

            site.main()


def make_up_for_it(*, is_urgent: bool) -> None:
    """Have `site` run when it is needed, or at once."""
    late = _Late()
    if is_urgent:
        late.run()
    else:
        sys.meta_path.insert(0, late)
