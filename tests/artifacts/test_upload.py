"""An upload that broke off is tried again, a little later each time, and not for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.artifacts.local import LocalStorage
from penstock.artifacts.repository import ArtifactRepository
from penstock.artifacts.streams import Source
from penstock.ground.errors import Conflict, PenstockError, Unavailable


class Breaking(LocalStorage):
    """A folder that first raises ``troubles``, one a call."""

    def __init__(self, root: Path, *troubles: PenstockError) -> None:
        super().__init__(root)
        self.troubles = list(troubles)

    def write(self, path: str, source: Source, *, size_bytes: int | None = None, sha256: str | None = None) -> None:
        if self.troubles:
            source.read(3)
            raise self.troubles.pop(0)
        super().write(path, source, size_bytes=size_bytes, sha256=sha256)


class Noted:
    """A clock that only writes down how long it was told to wait."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now_ms(self) -> int:
        return 0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def test_a_server_that_still_writes_what_was_in_flight_is_waited_for(tmp_path: Path) -> None:
    local, clock = tmp_path / "local", Noted()
    local.write_bytes(b"0123456789")
    storage = Breaking(tmp_path / "root", Unavailable("the line broke"), Conflict("7 bytes are there, not 5"))
    ArtifactRepository(storage, clock=clock).upload(local, "there")
    assert (tmp_path / "root" / "there").read_bytes() == b"0123456789"
    assert clock.slept == [0.1, 0.2]


def test_it_gives_up_with_the_last_reason(tmp_path: Path) -> None:
    local, clock = tmp_path / "local", Noted()
    local.write_bytes(b"0123456789")
    storage = Breaking(tmp_path / "root", *(Conflict(f"try {number}") for number in range(9)))
    with pytest.raises(Conflict, match="try 4"):
        ArtifactRepository(storage, clock=clock).upload(local, "there")
    assert len(clock.slept) == 4
