"""Files that are whole or absent: written beside, flushed to disk, then renamed.

Also the lock that keeps two processes out of one run folder, and content hashes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from whet.errors import Problem, UserError

BESIDE = ".partial-"
"""Prefix of names under which something is being written; whatever carries it may be deleted."""
REPLACED = ".replaced-"
"""Prefix of the folder that a new one is about to replace; it is the only copy until the new one is in place."""

DAMAGED = "Put back a whole copy of it, or do the run anew in another folder."
"""What helps where a file of a run is damaged: going on with the run reads the same file."""


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while ``path`` is written into one clear message.

    :raises UserError: F001 no space, F002 not allowed, F003 anything else the system says.
    """
    import errno

    try:
        yield
    except Exception as error:
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT) or _says_disk_full(error):
            raise UserError(
                Problem(
                    "F001",
                    str(path),
                    "the disk is full; nothing half-written was left.",
                    "Free some space; then run 'whet resume' on the run folder, or begin again if it left none.",
                )
            ) from error
        if number in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(
                Problem("F002", str(path), "writing here is not allowed.", "Choose another folder with --out.")
            ) from error
        if number in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
            what = f"cannot be written: {os.strerror(number)}."
            raise UserError(Problem("F003", str(path), what, "Choose another place with --out.")) from error
        raise


def _says_disk_full(error: Exception) -> bool:
    """Whether a library says so in its own words: safetensors has its own type, NumPy gives no number."""
    if isinstance(error, OSError):
        return error.errno is None and " requested and " in str(error)
    return "No space left on device" in str(error) or "Disk quota exceeded" in str(error)


def _sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def beside(path: Path) -> Iterator[BinaryIO]:
    """A binary file that becomes ``path`` when the block ends well, and vanishes when it does not."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{BESIDE}{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
            _sync(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """A folder that becomes ``path`` (replacing what is there) when the block ends well."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        name = Path(tempfile.mkdtemp(prefix=f"{BESIDE}{path.name}-", dir=path.parent))
        try:
            os.chmod(name, 0o777 & ~_umask())
            yield name
            for inside in (*name.rglob("*"), name):
                if inside.is_file():  # safetensors writes for the owner's eyes only
                    os.chmod(inside, 0o666 & ~_umask())
                _sync(inside)
            _put_in_place(name, path)
        except BaseException:
            shutil.rmtree(name, ignore_errors=True)
            raise


def _put_in_place(new: Path, path: Path) -> None:
    """Rename folder ``new`` to ``path``; a folder cannot be renamed over one that holds something."""
    old = path.parent / f"{REPLACED}{path.name}"
    if path.is_dir():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(path, old)
    try:
        os.replace(new, path)
    except BaseException:
        if old.exists():
            os.replace(old, path)
        raise
    _sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Tidy up what an interrupted write left in ``folder`` and below.

    What was half-written is deleted. A folder that had been moved aside to be replaced goes back
    where nothing has taken its place.
    """
    for old in sorted(folder.rglob(f"{REPLACED}*"), reverse=True):
        place = old.parent / old.name.removeprefix(REPLACED)
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(old, place)
    for path in sorted(folder.rglob(f"{BESIDE}*"), reverse=True):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with beside(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON with stable bytes: same value, same file."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON that this program wrote.

    :raises UserError: F010 missing, F011 damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            Problem("F010", str(path), "is missing.", "Is this a run folder, and did the run finish?")
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(Problem("F011", str(path), f"is damaged: {error}.", DAMAGED)) from None


def append_jsonl(path: Path, values: Iterable[Any]) -> None:
    """Append rows to a log that tolerates a torn last line (see :func:`read_jsonl`).

    A line that an earlier process left torn is taken off first, so that nothing is glued to it.
    """
    text = "".join(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n" for value in values)
    with explained(path), path.open("a+b") as file:
        _end_last_line(file)
        file.write(text.encode())
        file.flush()


def _end_last_line(file: BinaryIO) -> None:
    """Complete the last line of a log if only its end is missing; take it off otherwise."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return
    file.seek(0)
    content = file.read()
    start = content.rfind(b"\n") + 1
    try:
        json.loads(content[start:])
    except (UnicodeDecodeError, json.JSONDecodeError):
        file.truncate(start)
    else:
        file.write(b"\n")


def read_jsonl(path: Path) -> list[Any]:
    """Rows of a log; a last line that a killed process left torn is dropped."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            rows.append(json.loads(line))
        except (UnicodeDecodeError, json.JSONDecodeError):
            if number < len(lines) - 1 and any(lines[number + 1 :]):
                raise UserError(Problem("F011", f"{path}:{number + 1}", "is damaged.", "Delete that line.")) from None
    return rows


def sha256(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """Content hash of a file; ``progress`` receives the number of bytes read so far."""
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            done += len(block)
            if progress:
                progress(done)
    return digest.hexdigest()


class Lock:
    """Exclusive use of a run folder while a process lives; released by the system if it is killed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / ".lock"
        self._file: BinaryIO | None = None

    def __enter__(self) -> Lock:
        import fcntl

        with explained(self.path):
            self._file = self.path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            owner = self._file.read().decode(errors="replace").strip() or "another process"
            self._file.close()
            raise UserError(
                Problem(
                    "F020",
                    str(self.path.parent),
                    f"is in use by {owner}.",
                    "Wait for it, stop it, or choose another folder with --out.",
                )
            ) from None
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()}".encode())
        self._file.flush()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def is_held(folder: Path) -> bool:
    """Whether a living process has the :class:`Lock` of a folder; nothing is written, and nothing kept."""
    import fcntl

    try:
        with (folder / ".lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
