"""Keep the sizes of the last hour in `state/disk.json`, for a restarted watch and for `stats`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from manager.monitor.disk.growth import LATELY_S, Sample
from manager.util import atomic_file, strict_json
from manager.util.kept_content import KeptContent

SCHEMA = 1
MAX_BYTES = 16_000_000
SPACING_S = 300.0
"""Between the samples that are kept, but for those of the last minutes."""

Samples = Mapping[str, Sequence[Sample]]


def load(path: Path) -> dict[str, list[Sample]]:
    """Return the samples; none if there is no file that can be used: they are gathered again."""
    try:
        content = strict_json.read(path, MAX_BYTES)
        if not isinstance(content, dict) or content["schema"] != SCHEMA:
            return {}
        return {
            str(instance): [
                Sample(float(at), int(size), int(files), bool(is_whole))
                for at, size, files, is_whole in samples
            ]
            for instance, samples in content["instances"].items()
        }
    except (strict_json.JsonFault, TypeError, ValueError, KeyError, AttributeError):
        return {}


_kept = KeptContent(lambda path: load(Path(path)))


def load_kept(path: Path) -> Mapping[str, Sequence[Sample]]:
    """Return what `load` does, read again only where the file is another one; for frequent use."""
    try:
        return _kept.of(str(path))
    except OSError:
        return {}


def save(path: Path, samples: Samples) -> None:
    """Write the file atomically, on one line: with line breaks it costs seven times as much, once a minute.

    Raises OSError.
    """
    content = {
        "schema": SCHEMA,
        "instances": {name: list(map(list, of_instance)) for name, of_instance in samples.items()},
    }
    atomic_file.replace_bytes(path, f"{json.dumps(content)}\n".encode(), 0o644, durable=False)
    _kept.put(str(path), {name: list(of_instance) for name, of_instance in samples.items()})


def thinned(samples: Sequence[Sample]) -> list[Sample]:
    """Return fewer samples of the same time: a file of an hour is written every minute."""
    spaced: list[Sample] = []
    for sample in samples:
        is_late = samples[-1].at - sample.at <= LATELY_S
        if is_late or not spaced or sample.at - spaced[-1].at >= SPACING_S or sample is samples[-2]:
            spaced.append(sample)
    return spaced
