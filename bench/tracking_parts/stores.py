"""Where the contenders keep their rows: SQLite files, or databases of a real PostgreSQL with its default settings."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tracking_parts.servers import free_port

STORES = ("sqlite", "postgres")


class Cluster:
    """A PostgreSQL of our own in ``folder``; it outlives this process until ``stop``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.as_user: dict[str, str] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}

    def start(self) -> str:
        """Its URI up to the slash before a database's name; one that runs already is used."""
        process = self.folder / "postmaster.pid"
        if process.exists():
            return f"postgresql://postgres@127.0.0.1:{process.read_text().splitlines()[3]}"
        port = free_port()
        if not (self.folder / "PG_VERSION").exists():
            self.folder.mkdir(parents=True)
            if self.as_user:  # PostgreSQL refuses to run as root
                shutil.chown(self.folder, "postgres", "postgres")
            self._run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8")
        socket_folder = f"-k {self.folder} -p {port} -c listen_addresses=127.0.0.1"
        self._run("pg_ctl", "start", "-w", "-l", str(self.folder / "log"), "-o", socket_folder)
        return f"postgresql://postgres@127.0.0.1:{port}"

    def stop(self) -> None:
        if (self.folder / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-m", "fast")

    def _run(self, program: str, *arguments: str) -> None:
        found = shutil.which(program) or next(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{program}")), None)
        if found is None:
            raise SystemExit(f"{program} is not here: install PostgreSQL.")
        subprocess.run(
            [found, "-D", str(self.folder), *arguments],
            check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **self.as_user,
        )  # fmt: skip


def open_uris(store: str, names: Sequence[str], folder: Path) -> dict[str, str]:
    """name -> the URI of its own database, made if it is not there yet."""
    if store == "sqlite":
        return {name: f"sqlite:///{folder / f'{name}.db'}" for name in names}
    import psycopg

    prefix = Cluster(folder / "cluster").start()
    titles = {name: name.replace("-", "_") for name in names}
    with psycopg.connect(f"{prefix}/postgres", autocommit=True) as connection:
        there = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for title in titles.values():
            if title not in there:
                connection.execute(f"CREATE DATABASE {title}".encode())
    return {name: f"{prefix}/{title}" for name, title in titles.items()}
