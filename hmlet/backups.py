"""Backups of the photos platform: taken by its own command beside its programs, opened on this machine.

The platform encrypts for public keys and never sees a private one. Who restores has that here: the archive is read to
its end and verified before the stage hears of it, then decrypted once more on its way there.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pl import proc
from pl.errors import BackupUnusable, CommandFailed, PlError, RestoreIncomplete
from pl.project import Archive
from pl.stage import Stage
from pl.tools.fetch import Transfers

from hmlet import backup_keys
from hmlet.env_comm import HmletEnv

_MANAGE = ("python", "manage.py")
_LOOK_EVERY_S = 2.0
_STANDS_STILL_S = 600.0


class PhotosBackups:
    """What ``backup`` and ``restore`` do."""

    def take(self, env: HmletEnv, stage: Stage, file: Path, progress: Transfers) -> str:
        """Rows first, then originals, into one file that is there whole or not at all."""
        words = [word for one in backup_keys.recipients(env) for word in ("--recipient", one)]
        about = json.dumps({"project": env.root.name, "stage": env.stage, "instance": env.instance})
        heard = _Heard(progress, "backup")
        with _whole(file) as half:
            with half.open("wb") as target:
                try:
                    stage.stream_inside(
                        [*_MANAGE, "backup", "--about", about, *words], stdout=target, on_line=heard.line
                    )
                except CommandFailed as error:
                    raise BackupUnusable("no backup was taken", why=_own_words(error)) from None
                target.flush()
                os.fsync(target.fileno())
            taken = heard.said.get("taken")
            size = half.stat().st_size
            if taken is None or size != taken["archive_bytes"] or _sha256(half) != taken["archive_sha256"]:
                raise BackupUnusable("no backup was taken", why="what arrived is not what was written")
        lacking = len(taken["missing"]) + len(taken["damaged"])
        record = {
            "taken": taken["taken"],
            "place": f"{os.uname().nodename}:{file.absolute()}",
            "bytes": size,
            "objects": taken["objects"],
            "missing": lacking,
        }
        stage.run_inside([*_MANAGE, "record_backup"], input=json.dumps(record))
        lines = [f"✓ {file}: {_megabytes(size)}, {taken['objects']} objects with their rows"]
        if lacking:
            lines.append(f"  {lacking} objects that rows name were not there or not as they should be: see integrity")
        if not env.backup_recipients:
            lines.append(
                f"  only this key opens it, and who loses it loses the backup:  {backup_keys.own_key_file(env)}"
            )
        return "\n".join(lines)

    def verify(self, env: HmletEnv, stage: Stage, file: Path, identity: Path | None, progress: Transfers) -> Archive:
        """All of the archive, then what the stage says of its header."""
        if not file.is_file():
            raise BackupUnusable(f"there is no file {file}")
        key = backup_keys.identity(env, identity)
        found: dict[str, Any] = {}

        def check() -> str:
            argv = [*_opener(env), "check", str(file.absolute()), "--identity", str(key)]
            done = proc.run(argv, env=_variables(), cwd=_flesh(env), check=False)
            if done.status != 0:
                why = done.stderr.strip() if done.status == 1 else f"it could not be read: {done.stderr[-500:]}"
                raise BackupUnusable(f"{file} is not to be restored: nothing was changed", why=why)
            found.update(json.loads(done.stdout))
            return _megabytes(file.stat().st_size)

        _step("archive", check, progress)
        header = found["header"]
        try:
            said = stage.run_inside([*_MANAGE, "restore", "--look"], input=json.dumps(header))
        except CommandFailed as error:
            raise BackupUnusable(f"{file} is not to be restored: nothing was changed", why=_own_words(error)) from None
        return Archive(
            file=file.absolute(),
            identity=key,
            about=f"what {header['project']}-{header['stage']} held at {header['taken'][:19]}Z",
            held=json.loads(said.strip().splitlines()[-1])["holdings"],
            what="photos",
            facts=found,
        )

    def restore(self, env: HmletEnv, stage: Stage, archive: Archive, progress: Transfers) -> str:
        """Rows and originals as web, what else there is as a worker, accounts, renditions, and the proof."""
        sections: Mapping[str, Mapping[str, int]] = archive.facts["end"]["sections"]

        def bring(names: Sequence[str], where: str) -> Callable[[], str]:
            def run() -> str:
                total = sum(sections[name]["bytes"] for name in names if name in sections and name != "database")
                source = proc.Command(
                    argv=(
                        *(*_opener(env), "open", str(archive.file), "--identity", str(archive.identity)),
                        *("--sections", ",".join(names)),
                    ),
                    env=_variables(),
                    cwd=_flesh(env),
                )
                heard = _Heard(progress, "+".join(names))
                argv = [*_MANAGE, "restore", "--bytes", str(total)]
                try:
                    stage.stream_inside(argv, source=source, on_line=heard.line, where=where)
                except CommandFailed as error:
                    raise RestoreIncomplete(
                        "the restore did not come to its end", why=_own_words(error), hint=_AGAIN
                    ) from None
                return _megabytes(total)

            return run

        def admin() -> str:
            argv = [*_MANAGE, "ensure_user", env.admin_username, "--superuser"]
            stage.run_inside(argv, input=f"{env.admin_password.reveal()}\n")
            return "with this stage's password"

        _step("rows and originals", bring(("database", "originals"), ""), progress)
        if sections.get("thumbnails", {}).get("members"):
            # Web may not write these.
            _step("thumbnails", bring(("thumbnails",), "worker"), progress)
        _step("admin", admin, progress)
        stage.run_inside([*_MANAGE, "restore", "--go-on"])
        _step("renditions", lambda: _renditions(stage), progress)
        _step("integrity", lambda: _integrity(stage), progress)
        missing = len(archive.facts["end"]["missing"])
        lost = f"; {missing} objects were missing already when it was taken" if missing else ""
        return f"✓ {env.stage} holds {archive.about}: 0 missing, 0 mismatched, 0 orphaned{lost}"


_AGAIN = "call the same command again, with --replace: each step may be repeated"


class _Heard:
    """Understands the lines of JSON that the platform's commands write beside their output."""

    def __init__(self, progress: Transfers, name: str) -> None:
        self._progress = progress
        self._name = name
        self.said: dict[str, Any] = {}

    def line(self, text: str) -> bool:
        try:
            said = json.loads(text)
        except ValueError:
            return False
        if not isinstance(said, dict) or not {"done", "taken"}.intersection(said):
            return False
        if "done" in said:
            self._progress.fetched(self._name, said["done"], said["total"])
        self.said.update(said)
        return True


def _renditions(stage: Stage) -> str:
    """Have made again what can be, and wait for it. Raises RestoreIncomplete when nothing happens any more."""
    stage.run_scheduled("integrity", ["--repair"], on_line=lambda _: None)
    left, since = -1, time.monotonic()
    most = 0
    while True:
        now = int(stage.run_inside([*_MANAGE, "restore", "--left"]).strip().splitlines()[-1])
        most = max(most, now)
        if now == 0:
            return f"of {most} originals" if most else "all there"
        if now != left:
            left, since = now, time.monotonic()
        if time.monotonic() - since > _STANDS_STILL_S:
            raise RestoreIncomplete(
                f"the renditions of {now} originals are not made",
                why="rows and originals are back; no worker makes renditions any more",
                hint="ht.status, ht.logs worker; then manage.py integrity tells what is missing",
            )
        time.sleep(_LOOK_EVERY_S)


def _integrity(stage: Stage) -> str:
    """Raises RestoreIncomplete with what it finds."""
    lines: list[str] = []
    if stage.run_scheduled("integrity", on_line=lines.append) != 0:
        raise RestoreIncomplete("what was restored does not fit together", why="\n".join(lines[-20:]), hint=_AGAIN)
    return lines[-1] if lines else ""


def _step(name: str, run: Callable[[], str], progress: Transfers) -> None:
    """A part of the work, with its progress told."""
    began = time.monotonic()
    progress.started(name)
    try:
        remark = run()
    except PlError as error:
        progress.failed(name, error)
        raise
    progress.done(name, remark, time.monotonic() - began)


@contextlib.contextmanager
def _whole(file: Path) -> Iterator[Path]:
    """A file beside it that takes its place when all went well. Raises BackupUnusable for a place that is none."""
    if file.exists():
        raise BackupUnusable(f"{file} is there already", why="a backup never takes another's place")
    half = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        os.close(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield half
        half.replace(file)
    except OSError as error:
        raise BackupUnusable(f"{file} cannot be written: {error.strerror}") from None
    finally:
        half.unlink(missing_ok=True)


def _sha256(file: Path) -> str:
    import hashlib

    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _own_words(error: CommandFailed) -> str:
    """What the command wrote before it ended: its last line, which says why."""
    lines = [line for line in error.output.splitlines() if line.strip()]
    return lines[-1].removeprefix("CommandError: ") if lines else str(error.what)


def _megabytes(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB"


def _flesh(env: HmletEnv) -> Path:
    return env.root / "photos/flesh"


def _opener(env: HmletEnv) -> tuple[str, ...]:
    return (str(Path(sys.prefix).resolve() / "bin/python"), "-m", "backups")


def _variables() -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        **({"TMPDIR": os.environ["TMPDIR"]} if "TMPDIR" in os.environ else {}),
    }
