"""The registry's tokens: for 12 hours, told from forged ones by a keyed hash, so that none need be remembered.

A token is the time of its end and a hash over it; a layer's URL carries a hash over its path as well.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from urllib.parse import parse_qs

from penstock.ground.clock import Clock
from penstock.oci.registry_http import Refusal

TOKEN_MS = 12 * 3600 * 1000
URL_MS = 3600 * 1000


class Tokens:
    """Gives tokens out and tells whether one still holds."""

    def __init__(self, secret: str, *, clock: Clock) -> None:
        self._secret = secret.encode()
        self._clock = clock

    def password(self, expires_ms: int) -> str:
        """The password of the user "AWS" until ``expires_ms``."""
        return f"{expires_ms:x}-{self._hash(f'{expires_ms:x}')}"

    def authorization(self, expires_ms: int) -> str:
        """The same as GetAuthorizationToken gives it: base64 of "AWS:<password>"."""
        return base64.b64encode(f"AWS:{self.password(expires_ms)}".encode()).decode()

    def signed_path(self, path: str, expires_ms: int) -> str:
        """The path with what lets anybody read it until ``expires_ms``."""
        return f"{path}?token={expires_ms:x}-{self._hash(f'{expires_ms:x} {path}')}"

    def admits(self, environ: dict[str, str]) -> bool:
        """Whether a request to the registry carries a token that holds. Raises Refusal for one that has expired."""
        header = environ.get("HTTP_AUTHORIZATION", "")
        if header:
            return self._holds(_password(header), "")
        token = parse_qs(environ.get("QUERY_STRING", "")).get("token", [""])[0]
        return environ["REQUEST_METHOD"] in ("GET", "HEAD") and self._holds(token, f" {environ['PATH_INFO']}")

    def _holds(self, token: str, bound: str) -> bool:
        end, _, given = token.partition("-")
        if not hmac.compare_digest(given.encode(), self._hash(end + bound).encode()):
            return False
        if int(end, 16) <= self._clock.now_ms():
            raise Refusal(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
        return True

    def _hash(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def _password(header: str) -> str:
    """The password of a Basic header, empty for anything else."""
    try:
        user, _, password = base64.b64decode(header.removeprefix("Basic "), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return password if user == "AWS" else ""
