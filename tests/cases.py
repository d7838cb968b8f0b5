"""How many cases a random test takes: few and always the same in `make test`, many and others each time in
`make faults`.
"""

from __future__ import annotations

import os

# Schemathesis brings one, which nobody here uses, and each worker would load it with all that it needs.
os.environ.setdefault("HYPOTHESIS_NO_PLUGINS", "1")

from hypothesis import HealthCheck, settings

# Those that say nothing of themselves, too: what takes long is a machine that has something else to do.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

is_long = False
"""Whether this is the long run: `--long`."""


def cases(short: int, long: int) -> settings:
    """Return the settings of a test that takes so many cases in each of the two."""
    return settings(
        max_examples=long if is_long else short,
        derandomize=not is_long,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
