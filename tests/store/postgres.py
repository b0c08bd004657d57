"""A PostgreSQL server of the tests' own: a temporary folder, a socket, no network."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PASSWORD = "open sesame"


class Missing(Exception):
    """Why no server can be started here."""


def programs() -> Path:
    """The folder of initdb and postgres."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("initdb")
    for place in [*places, *([Path(on_path).resolve().parent] if on_path else [])]:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise Missing("initdb and postgres are not installed")


def other_user() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Missing("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The URL of a running server, which ends with the block."""
    import psycopg

    place, user = programs(), other_user()
    who = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    folder = Path(tempfile.mkdtemp(prefix="whet-pg-", dir="/tmp"))  # short: a socket's path has 107 bytes
    process = None
    try:
        (folder / "word").write_text(PASSWORD)
        if user is not None:
            for path in (folder, folder / "word"):
                os.chown(path, user.pw_uid, user.pw_gid)
        words = ["-U", "whet", "-A", "scram-sha-256", f"--pwfile={folder / 'word'}"]
        made = subprocess.run(
            [place / "initdb", "-D", folder / "data", *words, "--encoding=UTF8", "--locale=C", "--no-sync"],
            capture_output=True,
            text=True,
            cwd="/",
            **who,
        )
        if made.returncode:
            raise Missing(f"initdb failed: {made.stderr.strip()[-300:]}")
        settings = ["listen_addresses=", "fsync=off", "shared_buffers=8MB", "max_connections=40"]
        options = [word for setting in settings for word in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [place / "postgres", "-D", folder / "data", "-k", folder, *options],
                stdout=log,
                stderr=log,
                cwd="/",
                **who,
            )
        end = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(host=str(folder), user="whet", password=PASSWORD, dbname="postgres").close()
                break
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > end:
                    raise Missing(f"postgres did not start: {(folder / 'log').read_text()[-300:]}") from None
                time.sleep(0.05)
        yield f"postgresql://whet:{PASSWORD.replace(' ', '%20')}@/postgres?host={folder}"
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # "fast" shutdown
            process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)
