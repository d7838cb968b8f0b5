"""Run `backup`, `backup verify` and `backup list`: copies of what cannot be created again."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manager.cli.notices import one_output
from manager.errors import FAILED, OK, EngineError, ManagerError
from manager.fleet.project import Project
from manager.fleet.selection import no_instance
from manager.fleet.session import Session
from manager.i18n import Text, _, joined, mark
from manager.ops.backup import make, rehearse, retention, verify
from manager.ops.backup.manifest import Manifest, describe
from manager.ops.backup.retention import RetainedBackup
from manager.ops.folders.instance_folders import keep_from_git
from manager.util import console, formatting
from manager.util.text_table import Column

NOT_IN_IT = ".env, secrets/, logs/"

COLUMNS: Sequence[Column[RetainedBackup]] = (
    Column("file", mark("FILE"), lambda backup: backup.path.name),
    Column("age", mark("AGE"), lambda backup: formatting.age(time.time() - backup.made_at)),
    Column("size", mark("SIZE"), lambda backup: formatting.file_size(backup.size)),
    Column("note", mark("NOTE"), lambda backup: "" if backup.is_full else _("partial")),
)


def backup(session: Session, args: Namespace) -> int:
    """Write a backup, then remove expired ones."""
    project = session.project()
    fleet = project.fleet
    known = make.known_instances(project)
    named = project.select(args.ids, args.config)
    for instance in named or ():
        if instance not in known:
            raise no_instance(instance, known)
    folder = Path(args.to) if args.to else fleet.backup_dir
    image = _image(session, project)

    def tell(saved: make.SavedInstance) -> None:
        if not args.json:
            console.say(_saved_line(saved))

    made = make.make(project, known if named is None else named, folder, image, tell)
    if folder == fleet.backup_dir:
        keep_from_git(folder)
    removed = _thin_out(args, project, folder) if made.manifest.is_full else []
    if args.json:
        console.say_json(_made_object(made, removed))
    else:
        _say_made(made, removed)
    return _say_faults(made)


def backup_verify(_session: Session, args: Namespace) -> int:
    """Verify backups, and report those that are damaged or not complete."""
    results: dict[str, Any] = {}
    code = OK
    for file in args.files:
        try:
            rehearsed = rehearse.rehearse_restore(Path(file)) if args.restore else None
            manifest = rehearsed.manifest if rehearsed else verify.verify_backup(Path(file))
        except ManagerError as error:
            results[file] = {"sound": False, "why": str(error)}
            code = FAILED
            if not args.json:
                console.error(error)
            continue
        missing = _missing(manifest)
        results[file] = {
            "sound": True,
            "complete": not missing,
            "fleet": manifest.fleet,
            "made_at": manifest.made_at,
            "instances": sorted(manifest.instances),
            "missing": missing,
        }
        if rehearsed:
            results[file]["restored"] = {
                "files": rehearsed.files,
                "databases": rehearsed.databases,
                "rows": rehearsed.rows,
                "seconds": round(rehearsed.seconds, 3),
            }
        if not args.json:
            _say_verified(file, manifest, rehearsed)
        if missing:
            code = FAILED
            console.error(
                Text("{file} is not complete: {what} could not be saved", file=file, what=", ".join(missing))
            )
    if args.json:
        console.say_json(results)
    return code


def _say_verified(file: str, manifest: Manifest, rehearsed: rehearse.Rehearsal | None) -> None:
    console.say(Text("{file}: valid; {what}", file=file, what=describe(manifest)))
    if rehearsed:
        console.say(
            Text(
                "{file}: restored for a trial and removed again: {files} files, {databases} databases, {rows}"
                " rows, as saved ({duration})",
                file=file,
                files=rehearsed.files,
                databases=rehearsed.databases,
                rows=rehearsed.rows,
                duration=formatting.duration(rehearsed.seconds),
            )
        )


def backup_list(session: Session, args: Namespace) -> int:
    """List the fleet's backups, newest first, by their names and trailers."""
    one_output(args)
    fleet = session.project().fleet
    folder = Path(args.to) if args.to else fleet.backup_dir
    backups = retention.list_backups(folder, fleet.name)
    if args.json:
        console.say_json([_kept_object(backup) for backup in backups])
    elif backups or args.format:
        console.say(console.table(COLUMNS, backups, args.format))
    else:
        console.say(
            Text("no backups of fleet {fleet} in {folder}", fleet=fleet.name, folder=fleet.relative(folder))
        )
    return OK


def _kept_object(backup: RetainedBackup) -> dict[str, Any]:
    return {
        "file": str(backup.path),
        "made_at": formatting.iso_with_offset(backup.made_at),
        "bytes": backup.size,
        "full": backup.is_full,
    }


def _image(session: Session, project: Project) -> dict[str, Any] | None:
    """Return the image of the containers, which the backup only records. None if no engine answers."""
    name = project.fleet.image_name
    try:
        image = session.engine().image(name)
    except EngineError as error:
        console.warning(Text("the backup does not record the image {image}: {why}", image=name, why=error))
        return None
    return {
        "name": name,
        "id": image.get("Id"),
        "tags": image.get("RepoTags") or [],
        "digests": image.get("RepoDigests") or [],
        "created": image.get("Created"),
        "labels": (image.get("Config") or {}).get("Labels") or {},
    }


def _thin_out(args: Namespace, project: Project, folder: Path) -> list[retention.RetainedBackup]:
    fleet = project.fleet
    keep = fleet.backup_keep if args.keep is None else args.keep
    keep_days = fleet.backup_keep_days if args.keep_days is None else args.keep_days
    old = retention.select_expired(retention.list_backups(folder, fleet.name), time.time(), keep, keep_days)
    retention.remove(old)
    return old


def _saved_line(saved: make.SavedInstance) -> Text:
    if saved.faults:
        return Text("{id}: backup failed: {why}", id=saved.instance, why=joined(saved.faults))
    if not saved.copies:
        return Text("{id}: no database yet", id=saved.instance)
    return Text(
        "{id}: {count} files, {size} ({duration})",
        id=saved.instance,
        count=len(saved.copies),
        size=formatting.file_size(saved.size),
        duration=formatting.duration(saved.seconds),
    )


def _say_made(made: make.BackupResult, removed: list[retention.RetainedBackup]) -> None:
    for path, why in made.left_out:
        console.warning(Text("{path} was left out: {why}", path=path, why=why))
    for expired in removed:
        console.say(Text("removed {file}", file=expired.path.name))
    console.say(Text("{file}: {size}", file=made.path, size=formatting.file_size(made.size)))
    console.say(Text("not included: {what}; keep a separate copy of the keys in .env", what=NOT_IN_IT))


def _say_faults(made: make.BackupResult) -> int:
    for saved in made.saved:
        for fault in saved.faults:
            console.error(Text("backup of {id} failed: {why}", id=saved.instance, why=fault))
    for text in made.faults:
        console.error(text)
    if made.manifest.is_complete:
        return OK
    console.error(Text("{file} is not complete; older backups were kept", file=made.path))
    return FAILED


def _missing(manifest: Manifest) -> list[str]:
    """Return what should be in the backup and is not."""
    return manifest.unsaved_instances() or (
        [] if manifest.is_complete else [str(Text("a config or state/history.db"))]
    )


def _made_object(made: make.BackupResult, removed: list[retention.RetainedBackup]) -> dict[str, Any]:
    return {
        "file": str(made.path),
        "bytes": made.size,
        "full": made.manifest.is_full,
        "complete": made.manifest.is_complete,
        "instances": [
            {
                "id": saved.instance,
                "files": [
                    {"path": copy.source.name, "bytes": copy.source.size, "how": copy.how}
                    for copy in saved.copies
                ],
                "faults": list(saved.faults),
                "seconds": round(saved.seconds, 3),
            }
            for saved in made.saved
        ],
        "faults": list(made.faults),
        "left_out": made.manifest.left_out,
        "removed": [expired.path.name for expired in removed],
    }
