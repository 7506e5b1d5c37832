"""How a plane is to be: one frozen value, made from the command line or handed over by whoever starts it."""

from __future__ import annotations

from pathlib import Path

import msgspec

ACCOUNT = "123456789012"
REGION = "us-east-1"
# The plane's own key: whoever has it may do anything, and nobody on AWS takes it for one of theirs.
ACCESS_KEY = "PENSTOCKREHEARSAL000"
SECRET_KEY = "not-a-secret-only-the-rehearsal-takes-it"


class PlaneOptions(msgspec.Struct, frozen=True, kw_only=True):
    """``time_scale`` multiplies the waits that configs ask for (bake, termination): 1.0 is AWS's own time.

    ``check_signatures`` refuses every request that is not signed with a key of the account.
    """

    state_dir: Path
    cache_dir: Path
    host: str = "127.0.0.1"
    port: int = 0
    time_scale: float = 0.01
    runner: str = "auto"
    account: str = ACCOUNT
    region: str = REGION
    check_signatures: bool = False


class PlaneInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A plane that answers, as ``plane.json`` tells it."""

    url: str
    pid: int
    started: str
    account: str
    region: str
    host: str
    port: int
    time_scale: float
    runner: str = "auto"
    check_signatures: bool = False

    @property
    def registry(self) -> str:
        """The registry's host and port, which image references begin with."""
        return f"{self.host}:{self.port}"
