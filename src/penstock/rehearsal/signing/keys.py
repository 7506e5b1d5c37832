"""The secrets behind access keys: the plane's own, IAM users', and those of roles that somebody assumed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from penstock.ground.clock import Clock
from penstock.rehearsal.neighbours import Neighbours
from penstock.rehearsal.options import ACCESS_KEY, SECRET_KEY
from penstock.rehearsal.signing.reasons import Reason, SignatureRefused


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a key. ``arn`` is the IAM user's or role's, or None for the plane's own key, which may do anything."""

    secret: str
    arn: str | None = None
    token: str | None = None


class Keys:
    """Looks keys up in the account's IAM and STS, which are moto's; its own key needs neither."""

    def __init__(self, neighbours: Neighbours, *, clock: Clock) -> None:
        self._neighbours = neighbours
        self._clock = clock

    def holder(self, access_key: str, token: str | None) -> Holder:
        """The holder of ``access_key``. Raises SignatureRefused for an unknown key and a wrong or expired token."""
        if access_key == ACCESS_KEY:
            return Holder(secret=SECRET_KEY)
        found = self._user(access_key) or self._role(access_key)
        if found is None:
            raise SignatureRefused(Reason.UNKNOWN_KEY)
        if found.token != token:
            raise SignatureRefused(Reason.BAD_TOKEN)
        return found

    def _user(self, access_key: str) -> Holder | None:
        users = self._neighbours.backend("iam", "us-east-1").users
        for user in list(users.values()):
            for key in user.access_keys:
                if key.access_key_id == access_key and key.status == "Active":
                    return Holder(secret=key.secret_access_key, arn=user.arn)
        return None

    def _role(self, access_key: str) -> Holder | None:
        session: Any = self._neighbours.backend("sts", "us-east-1").get_assumed_role_from_access_key(access_key)
        if session is None:
            return None
        expiration: datetime = session.expiration
        if _ms(expiration) < self._clock.now_ms():
            raise SignatureRefused(Reason.EXPIRED_TOKEN)
        return Holder(secret=session.secret_access_key, arn=session.role_arn, token=session.session_token)


def _ms(moment: datetime) -> float:
    """Milliseconds of the epoch; moto's moments are UTC without saying so."""
    return (moment.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds() * 1000
