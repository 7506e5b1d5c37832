"""Turns a registry's 401 into an Authorization header: Basic, or Bearer with the scopes that it asked for.

Source: the distribution project's token authentication specification. A token is kept with all scopes that were ever
asked for, so that a push which mounts from a second repository has both in one token.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import httpx
from msgspec import Struct

from penstock.ground.errors import Unauthenticated, Unavailable
from penstock.oci.auth import Credentials, Keychain

_CHALLENGE = re.compile(r"\b(Basic|Bearer)\s+((?:[\w-]+=(?:\"[^\"]*\"|[^\s,]*)\s*,?\s*)*)", re.IGNORECASE)
_PARAMETER = re.compile(r"([\w-]+)=(?:\"([^\"]*)\"|([^\s,]*))")


class Challenge(Struct, frozen=True):
    """What a WWW-Authenticate header asks for."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(header: str) -> list[Challenge]:
    """The Basic and Bearer challenges in the header, in its order."""
    return [
        Challenge(
            found[1].lower(), {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(found[2])}
        )
        for found in _CHALLENGE.finditer(header)
    ]


class Authorizer:
    """The Authorization header for one registry, worked out when it first refuses and again when a token expires."""

    def __init__(self, registry: str, keychain: Keychain, ask: Callable[[httpx.Request], httpx.Response]) -> None:
        self._registry = registry
        self._keychain = keychain
        self._ask = ask
        self._lock = threading.Lock()
        self._scopes: dict[str, set[str]] = {}
        self.header: str | None = None

    def answer(self, challenge_header: str, *, refused: str | None) -> None:
        """Finds a new ``header`` after the one called ``refused`` was. Raises Unauthenticated when there is none."""
        with self._lock:
            challenges = {challenge.scheme: challenge for challenge in parse_challenges(challenge_header)}
            bearer = challenges.get("bearer")
            if bearer is not None:
                new_scopes = self._widen(bearer.parameters.get("scope", ""))
                if self.header == refused or new_scopes:
                    self.header = f"Bearer {self._fetch_token(bearer)}"
            elif self.header == refused:
                self.header = self._basic(refused)

    def _basic(self, refused: str | None) -> str:
        credentials = self._keychain.find(self._registry)
        if credentials is None:
            raise self._missing()
        if credentials.basic == refused:
            raise self._refused()
        return credentials.basic

    def _widen(self, scope: str) -> bool:
        """Adds ``type:name:action,action ...`` to the scopes in hand; whether anything was new."""
        before = {resource: set(actions) for resource, actions in self._scopes.items()}
        for item in scope.split():
            resource, _, actions = item.rpartition(":")
            self._scopes.setdefault(resource, set()).update(actions.split(","))
        return before != self._scopes

    def _fetch_token(self, challenge: Challenge) -> str:
        response = self._ask(self._token_request(challenge, self._keychain.find(self._registry)))
        if response.status_code in (401, 403):
            raise self._refused()
        if response.status_code == 429 or response.status_code >= 500:
            raise Unavailable(
                f"The token service of {self._registry} answered {response.status_code}. Try again later."
            )
        try:
            document = response.raise_for_status().json()
            token = document.get("token") or document["access_token"]
        except (httpx.HTTPStatusError, ValueError, KeyError, AttributeError) as error:
            raise Unauthenticated(
                f"The token service of {self._registry} answered {response.status_code} and no token.",
                fix="Try again later, or tell the registry's operators.",
            ) from error
        return str(token)

    def _token_request(self, challenge: Challenge, credentials: Credentials | None) -> httpx.Request:
        realm = challenge.parameters.get("realm", "")
        scopes = [f"{resource}:{','.join(sorted(actions))}" for resource, actions in sorted(self._scopes.items())]
        fields = {"service": challenge.parameters.get("service", "")}
        if credentials is not None and credentials.identity_token:
            form = {**fields, "grant_type": "refresh_token", "refresh_token": credentials.identity_token}
            return httpx.Request("POST", realm, data={**form, "client_id": "penstock", "scope": " ".join(scopes)})
        headers = {"Authorization": credentials.basic} if credentials is not None else {}
        url = httpx.URL(realm)
        return httpx.Request(
            "GET", url.copy_merge_params({**dict(url.params), **fields, "scope": scopes}), headers=headers
        )

    def _missing(self) -> Unauthenticated:
        return Unauthenticated(
            f"{self._registry} wants to know who is asking, and no credentials are known for it.",
            fix=f"Log in with 'docker login {self._registry}', or give a user and password.",
        )

    def _refused(self) -> Unauthenticated:
        return Unauthenticated(
            f"{self._registry} refused the credentials.",
            fix=f"They may have expired (an ECR token lasts 12 hours): log in to {self._registry} again.",
        )
