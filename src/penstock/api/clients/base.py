"""What every noun of the client shares: the connection."""

from __future__ import annotations

from penstock.api.connection import Connection, connect, registry_uri


class ClientPart:
    """A noun of the client over one tracking place (and, where that differs, one model registry)."""

    def __init__(self, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        self._given = (tracking_uri, registry_uri)

    @property
    def _connection(self) -> Connection:
        """The process's connection; looked up each time, so that a forked child gets its own."""
        return connect(self._given[0])

    @property
    def _registry_connection(self) -> Connection:
        return connect(self._given[1] or self._given[0] or registry_uri())

    @property
    def tracking_uri(self) -> str:
        return self._connection.uri
