"""What a server calls the runs, models and experiments that were named here while it was away."""

from __future__ import annotations

from pathlib import Path

import msgspec

from penstock.ground.files import write_atomically


class Identities:
    """A table from our names to the server's, kept at ``path`` beside the spool whose operations use our names."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, str] = {}
        if path.exists():
            self._known = msgspec.json.decode(path.read_bytes(), type=dict[str, str])

    def __contains__(self, ours: str) -> bool:
        return ours in self._known

    def of(self, ours: str) -> str:
        """The server's name; the same where it took ours."""
        return self._known.get(ours, ours)

    def note(self, ours: str, theirs: str) -> None:
        """Keeps what the server calls it, on disk before anything is sent under that name. Raises StorageFailed."""
        self._known[ours] = theirs
        self.save()

    def save(self) -> None:
        """Writes the table, if it has anything to say."""
        if self._known:
            write_atomically(self._path, msgspec.json.encode(self._known))

    def rewritten(self, text: str) -> str:
        """``text`` with our ids replaced by the server's."""
        for ours, theirs in self._known.items():
            text = text.replace(ours, theirs)
        return text
