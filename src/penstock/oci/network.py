"""The way to registries: this machine's own directly, all others as the environment's proxies say.

A TLS context takes 20 to 90 ms to fill with certificates, more than a whole push of a changed model to a registry on
this machine. So the client that can do TLS is made with the first request that needs it.
"""

from __future__ import annotations

import ssl
import threading

import httpx

from penstock.ground.errors import InvalidInput
from penstock.oci.reference import is_loopback

_HEADERS = {"User-Agent": "penstock", "Accept-Encoding": "identity"}


class Network:
    """Sends requests; ``transport`` replaces the network."""

    def __init__(self, transport: httpx.BaseTransport | None = None, *, timeout_seconds: float) -> None:
        self._transport = transport
        self._timeout = httpx.Timeout(timeout_seconds, connect=min(10.0, timeout_seconds))
        self._clients: dict[bool, httpx.Client] = {}
        self._lock = threading.Lock()

    def send(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        """The response as it is: no redirect is followed, no credentials are added."""
        for name, value in _HEADERS.items():
            request.headers.setdefault(name, value)
        client = self._client(plain=request.url.scheme == "http" and is_loopback(request.url.netloc.decode("ascii")))
        return client.send(request, stream=stream, follow_redirects=False, auth=None)

    def close(self) -> None:
        """Closes the connections that are kept open."""
        with self._lock:
            for client in self._clients.values():
                client.close()

    def _client(self, *, plain: bool) -> httpx.Client:
        with self._lock:
            if plain not in self._clients:
                self._clients[plain] = self._made(plain=plain)
            return self._clients[plain]

    def _made(self, *, plain: bool) -> httpx.Client:
        if self._transport is not None:
            return httpx.Client(transport=self._transport, timeout=self._timeout)
        if plain:  # this context trusts no certificate at all: over TLS it would refuse everybody
            return httpx.Client(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False, timeout=self._timeout)
        direct = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}  # past any proxy
        try:
            return httpx.Client(timeout=self._timeout, mounts=direct)
        except OSError as error:  # the one that it reads is the file of certificates
            raise InvalidInput(
                f"The certificates that TLS is to trust cannot be read: {error}.",
                fix="Correct SSL_CERT_FILE or SSL_CERT_DIR, or unset it.",
            ) from error
