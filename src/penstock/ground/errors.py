"""Every error Penstock raises on purpose, split by what the caller can do about it.

    PenstockError
    |-- fix the input
    |   |-- InvalidInput              a value, a file or a request is malformed
    |   |   |-- UnsupportedMedia      the body is in a format that nobody here reads
    |   |   `-- ModelFolderInvalid    a folder is not a model that can be read
    |   |-- EnvironmentMismatch       the Python, platform or requirement cannot be met
    |   `-- TooLarge                  shrink it: over a limit that is stated in the message
    |-- look elsewhere
    |   `-- NotFound                  nothing is known under that name
    |-- re-read and retry
    |   |-- AlreadyExists             the name is taken
    |   `-- Conflict                  somebody changed it meanwhile, or it is busy
    |-- change rights
    |   |-- Unauthenticated           nobody said who is asking, or the proof has expired
    |   `-- Forbidden                 the asker is known and may not
    |-- free something
    |   |-- QuotaExceeded             an account, a budget or a host has no more of it
    |   `-- StorageFailed             a disk is full, read-only or failing
    |-- wait
    |   |-- Unavailable               a server or a network is away for now
    |   `-- TimedOut                  it may still succeed; ask again
    `-- read the cause
        |-- IntegrityError            bytes are not the bytes that were promised
        |-- ModelFailed               the model's own code raised
        |-- RehearsalFailed           the rehearsal showed that the deployment would fail
        |-- EndpointFailed            the endpoint is not serving what was asked for
        |-- ToolFailed                another program ended badly
        |-- NotImplementedHere        known, and deliberately not offered
        `-- InternalError             a defect of Penstock

A class's docstring is its default message. ``code`` is stable and what ``penstock explain`` takes; ``http_status``
and ``exit_code`` are what the edges answer with; ``retryable`` says whether the same call may succeed later.
The last sentence of a message says the fix.
"""

from __future__ import annotations

from typing import ClassVar


class PenstockError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "PENSTOCK-E0000"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str | None = None, *, fix: str | None = None) -> None:
        self.message = message if message is not None else (type(self).__doc__ or "").strip().splitlines()[0]
        self.fix = fix
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.fix}" if self.fix else self.message


class InvalidInput(PenstockError):
    """A value, a file or a request is malformed."""

    code = "PENSTOCK-E0100"
    http_status = 400
    exit_code = 2


class UnsupportedMedia(InvalidInput):
    """The body is in a format that is not read here."""

    code = "PENSTOCK-E0101"
    http_status = 415


class ModelFolderInvalid(InvalidInput):
    """The folder is not a model that can be read."""

    code = "PENSTOCK-E0102"


class EnvironmentMismatch(PenstockError):
    """The Python version, the platform or a requirement cannot be met."""

    code = "PENSTOCK-E0110"
    http_status = 400
    exit_code = 2


class TooLarge(PenstockError):
    """It is over a limit."""

    code = "PENSTOCK-E0120"
    http_status = 413
    exit_code = 2


class NotFound(PenstockError):
    """Nothing is known under that name."""

    code = "PENSTOCK-E0200"
    http_status = 404
    exit_code = 6


class AlreadyExists(PenstockError):
    """The name is taken."""

    code = "PENSTOCK-E0300"
    http_status = 409
    exit_code = 1


class Conflict(PenstockError):
    """It is busy, or somebody changed it meanwhile."""

    code = "PENSTOCK-E0301"
    http_status = 409
    exit_code = 1
    retryable = True


class Unauthenticated(PenstockError):
    """Nobody said who is asking, or the proof has expired."""

    code = "PENSTOCK-E0400"
    http_status = 401
    exit_code = 7


class Forbidden(PenstockError):
    """The asker may not do that."""

    code = "PENSTOCK-E0401"
    http_status = 403
    exit_code = 7


class QuotaExceeded(PenstockError):
    """There is no more of it to be had."""

    code = "PENSTOCK-E0500"
    http_status = 429
    exit_code = 8


class StorageFailed(PenstockError):
    """The disk is full, read-only or failing."""

    code = "PENSTOCK-E0510"
    http_status = 507
    exit_code = 8


class Unavailable(PenstockError):
    """The server or the network is away for now."""

    code = "PENSTOCK-E0600"
    http_status = 503
    exit_code = 9
    retryable = True


class TimedOut(PenstockError):
    """It took too long; it may still succeed."""

    code = "PENSTOCK-E0601"
    http_status = 504
    exit_code = 9
    retryable = True


class IntegrityError(PenstockError):
    """The bytes are not the bytes that were promised."""

    code = "PENSTOCK-E0700"
    http_status = 502
    exit_code = 1


class ModelFailed(PenstockError):
    """The model's own code raised."""

    code = "PENSTOCK-E0710"
    http_status = 500
    exit_code = 5


class RehearsalFailed(PenstockError):
    """The rehearsal showed that the deployment would fail."""

    code = "PENSTOCK-E0720"
    http_status = 500
    exit_code = 4


class EndpointFailed(PenstockError):
    """The endpoint is not serving what was asked for."""

    code = "PENSTOCK-E0730"
    http_status = 500
    exit_code = 5


class ToolFailed(PenstockError):
    """Another program ended badly."""

    code = "PENSTOCK-E0740"
    http_status = 500
    exit_code = 1


class NotImplementedHere(PenstockError):
    """This is known, and deliberately not offered."""

    code = "PENSTOCK-E0750"
    http_status = 501
    exit_code = 2


class InternalError(PenstockError):
    """This is a defect of Penstock."""

    code = "PENSTOCK-E0999"
    http_status = 500
    exit_code = 1
