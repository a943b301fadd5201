"""A PostgreSQL server of a test run: made of Debian's `postgresql` where that is installed, thrown away at the end.

It is made in memory without fsync and listens on a socket of its own folder only. Every test has a database of its own,
a copy of one that was migrated once.
"""

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway.storage.engines import open_engine
from gateway.storage.upgrade import upgrade

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "autovacuum": "off",
}


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl; None when PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    path = shutil.which("initdb")
    return Path(path).resolve().parent if path else None


def reason_for_none() -> str:
    """Why no server can be started here; empty when one can."""
    try:
        import psycopg  # noqa: F401 - an extra
    except ImportError:
        return "psycopg is not installed (pip install musubi-gateway[postgresql])"
    if binaries() is None:
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        try:
            import pwd

            pwd.getpwnam("postgres")
        except (ImportError, KeyError):
            return "initdb does not run as root, and there is no user postgres"
    return ""


@dataclass
class Cluster:
    """A running server."""

    folder: Path
    user: str | None
    """Whom its programs run as; None: ourselves."""
    _migrated: bool = False
    _databases: dict[Path, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def run(self, program: str, *arguments: str) -> None:
        folder = binaries()
        assert folder is not None
        done = subprocess.run(
            [str(folder / program), *arguments], user=self.user, capture_output=True, text=True, cwd=self.folder
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    def start(self) -> None:
        options = " ".join(f"-c {key}='{value}'" for key, value in _SETTINGS.items())
        log = str(self.folder / "log")
        data = str(self.folder / "data")
        self.run("pg_ctl", "-D", data, "-l", log, "-w", "-o", f"-k '{self.folder}' {options}", "start")

    def stop(self, mode: str = "immediate") -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        import psycopg

        with psycopg.connect(host=str(self.folder), user="postgres", dbname=database, autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def empty(self, name: str) -> str:
        """URL of a new database without tables."""
        self.sql(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy ENCODING 'UTF8'")
        return self.url(name)

    def database(self, folder: Path) -> str:
        """URL of the database that belongs to a folder; one of today's schema, empty the first time."""
        with self._lock:
            if not self._migrated:
                self.sql("DROP DATABASE IF EXISTS migrated")
                engine = open_engine(self.empty("migrated"))
                upgrade(engine)
                engine.dispose()
                self._migrated = True
            if folder not in self._databases:
                name = self._databases[folder] = f"t{len(self._databases)}"
                self.sql(f"CREATE DATABASE {name} TEMPLATE migrated STRATEGY file_copy")
            return self.url(self._databases[folder])

    def drop(self, folder: Path) -> None:
        """Databases of a folder and of folders in it."""
        for one in [path for path in self._databases if path.is_relative_to(folder)]:
            self.sql(f"DROP DATABASE {self._databases[one]} WITH (FORCE)")
            self._databases[one] += "_gone"


_used: list[Cluster] = []


@contextmanager
def used(server: Cluster) -> Iterator[None]:
    """While it lasts, tests open their databases on this server."""
    _used.append(server)
    try:
        yield
    finally:
        _used.pop()


def url_for(folder: Path) -> str:
    """The database of a folder on the server in use; empty when there is none."""
    return _used[-1].database(folder) if _used else ""


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Starts a server; `reason_for_none` has to be empty."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="musubi-pg-", dir=place))
    server = Cluster(folder, "postgres" if root else None)
    try:
        if root:
            shutil.chown(folder, "postgres")
        server.run(
            "initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "--no-sync", "--encoding=UTF8",
            "--locale=C.UTF-8",
        )  # fmt: skip
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
