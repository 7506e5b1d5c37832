"""What may go: endpoints whose time is over, and endpoints that nobody calls."""

from __future__ import annotations

from msgspec import Struct

from penstock.deploy.metrics import metrics
from penstock.deploy.resources import EXPIRES_TAG
from penstock.deploy.session import AwsSession
from penstock.deploy.status import EndpointStatus, list_endpoints
from penstock.ground.clock import SYSTEM_CLOCK, Clock


class Expiry(Struct, frozen=True, kw_only=True):
    """An endpoint, and why it may go: 'expired', 'idle', or '' when it stays. Production is never expired."""

    name: str
    expires: str
    production: bool
    reason: str = ""
    idle_minutes: int | None = None


def expiries(aws: AwsSession, *, idle_minutes: int | None = None, clock: Clock = SYSTEM_CLOCK) -> tuple[Expiry, ...]:
    """Every endpoint of ours with what speaks for deleting it. With ``idle_minutes`` the calls are looked at too."""
    now_ms = clock.now_ms()
    return tuple(_expiry(aws, one, now_ms, idle_minutes, clock) for one in list_endpoints(aws))


def is_expired(tags: dict[str, str], now_ms: int) -> bool:
    """Whether the time in the tags is over. Pure."""
    text = tags.get(EXPIRES_TAG, "")
    return text.isdigit() and int(text) <= now_ms


def _expiry(aws: AwsSession, endpoint: EndpointStatus, now_ms: int, idle_minutes: int | None, clock: Clock) -> Expiry:
    idle = _is_idle(aws, endpoint, idle_minutes, clock)
    reason = "expired" if is_expired(endpoint.tags, now_ms) else "idle" if idle else ""
    return Expiry(
        name=endpoint.name,
        expires=endpoint.expires,
        production=endpoint.production,
        reason="" if endpoint.production else reason,
        idle_minutes=idle_minutes if idle else None,
    )


def _is_idle(aws: AwsSession, endpoint: EndpointStatus, minutes: int | None, clock: Clock) -> bool:
    if minutes is None or endpoint.status != "InService" or endpoint.age_ms(clock.now_ms()) < minutes * 60_000:
        return False
    return metrics(aws, endpoint.name, minutes=minutes, clock=clock).invocations == 0
