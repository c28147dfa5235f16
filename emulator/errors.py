"""Every error that the API can answer, in one tree.

ApiError
├── BadRequest                400 INVALID_REQUEST
│   ├── InvalidJson           400 INVALID_JSON
│   ├── UnknownLanguage       400 UNKNOWN_LANGUAGE
│   └── UnknownShell          400 UNKNOWN_SHELL
├── Unauthorized              401
│   ├── InvalidKey            401 INVALID_KEY
│   ├── InvalidSignature      401 INVALID_SIGNATURE
│   ├── InvalidTimestamp      401 INVALID_TIMESTAMP
│   └── KeyExpired            401 KEY_EXPIRED
├── Forbidden                 403
│   ├── AccountSuspended      403 ACCOUNT_SUSPENDED
│   ├── TierRequired          403 TIER_REQUIRED
│   ├── DomainTaken           403 DOMAIN_TAKEN
│   └── ForeignOrigin         403 FOREIGN_ORIGIN
├── NotFound                  404 NOT_FOUND
│   └── JobNotFound           404 JOB_NOT_FOUND
├── MethodNotAllowed          405 METHOD_NOT_ALLOWED
├── Conflict                  409 CONFLICT
│   ├── JobEnded              409 JOB_ENDED
│   └── Locked                409 LOCKED
├── PayloadTooLarge           413 PAYLOAD_TOO_LARGE
├── UnsupportedMediaType      415 UNSUPPORTED_MEDIA_TYPE
├── MisdirectedRequest        421 MISDIRECTED_REQUEST
├── UpgradeRequired           426 UPGRADE_REQUIRED
├── SudoRequired              428 SUDO_REQUIRED
├── HeadTooLarge              431 HEAD_TOO_LARGE
├── RateLimited               429 RATE_LIMITED
├── ConcurrencyLimited        429 CONCURRENCY_LIMIT
│   └── PendingLimited        429 PENDING_LIMIT
├── InternalError             500 INTERNAL_ERROR
│   └── SandboxFailed         500 SANDBOX_FAILED
├── NotImplementedYet         501 NOT_IMPLEMENTED
├── BadGateway                502 BAD_GATEWAY
├── Unavailable               503 UNAVAILABLE
│   ├── RuntimeUnavailable    503 RUNTIME_UNAVAILABLE
│   ├── NoCapacity            503 NO_CAPACITY
│   ├── ServiceStarting       503 SERVICE_STARTING
│   └── ServiceFrozen         503 SERVICE_FROZEN
└── GatewayTimeout            504 GATEWAY_TIMEOUT

`error` is a short string that clients match, `code` a constant, `details` a sentence that says what
to do. Vendor's clients scan whole bodies for one word that only the clock-drift answer may hold
(un.c, un.awk and others), so no other text here may contain it.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar


class ApiError(Exception):
    """An answer other than 2xx; `extra` are further top-level fields of its body."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"
    error: ClassVar[str] = "Internal error"

    def __init__(self, details: str, **extra: object) -> None:
        super().__init__(details)
        self.details = details
        self.extra = extra
        self.headers: dict[str, str] = {}

    def body(self) -> dict[str, object]:
        """The error envelope: `error`, `code`, `message`, `details`, then what is extra."""
        return {
            "error": self.error,
            "code": self.code,
            "message": self.details,
            "details": self.details,
            **self.extra,
        }


class BadRequest(ApiError):
    status = 400
    code = "INVALID_REQUEST"
    error = "Invalid request"


class InvalidJson(BadRequest):
    code = "INVALID_JSON"
    error = "Invalid JSON"


class UnknownLanguage(BadRequest):
    code = "UNKNOWN_LANGUAGE"
    error = "Unknown language"


class UnknownShell(BadRequest):
    code = "UNKNOWN_SHELL"
    error = "Unknown shell"


class Unauthorized(ApiError):
    status = 401


class InvalidKey(Unauthorized):
    code = "INVALID_KEY"
    error = "Invalid API key"


class InvalidSignature(Unauthorized):
    """Carries `message: invalid_signature`, the atom that the vendor's clients look for."""

    code = "INVALID_SIGNATURE"
    error = "Invalid signature"

    def body(self) -> dict[str, object]:
        return {**super().body(), "message": "invalid_signature"}


class InvalidTimestamp(Unauthorized):
    """Clock drift; the one answer whose text may name the header's word."""

    code = "INVALID_TIMESTAMP"
    error = "Invalid timestamp"

    def body(self) -> dict[str, object]:
        message = "Request timestamp expired or invalid (must be within 5 minutes of server time)"
        return {**super().body(), "message": message}


class KeyExpired(Unauthorized):
    code = "KEY_EXPIRED"
    error = "API key expired"


class Forbidden(ApiError):
    status = 403
    code = "FORBIDDEN"
    error = "Forbidden"


class AccountSuspended(Forbidden):
    code = "ACCOUNT_SUSPENDED"
    error = "Account suspended"


class TierRequired(Forbidden):
    code = "TIER_REQUIRED"
    error = "Feature not available"


class DomainTaken(Forbidden):
    code = "DOMAIN_TAKEN"
    error = "Not authorized"


class ForeignOrigin(Forbidden):
    code = "FOREIGN_ORIGIN"
    error = "Foreign origin"


class NotFound(ApiError):
    status = 404
    code = "NOT_FOUND"
    error = "Not found"


class JobNotFound(NotFound):
    code = "JOB_NOT_FOUND"
    error = "Job ID not found or expired"


class MethodNotAllowed(ApiError):
    status = 405
    code = "METHOD_NOT_ALLOWED"
    error = "Method not allowed"

    def __init__(self, details: str, allow: Iterable[str] = ()) -> None:
        super().__init__(details)
        self.headers["Allow"] = ", ".join(allow)


class Conflict(ApiError):
    status = 409
    code = "CONFLICT"
    error = "Conflict"


class JobEnded(Conflict):
    code = "JOB_ENDED"
    error = "Job has already ended"


class Locked(Conflict):
    code = "LOCKED"
    error = "Locked"


class PayloadTooLarge(ApiError):
    status = 413
    code = "PAYLOAD_TOO_LARGE"
    error = "Payload too large"


class UnsupportedMediaType(ApiError):
    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"
    error = "Unsupported media type"


class MisdirectedRequest(ApiError):
    status = 421
    code = "MISDIRECTED_REQUEST"
    error = "Misdirected request"


class UpgradeRequired(ApiError):
    status = 426
    code = "UPGRADE_REQUIRED"
    error = "Upgrade required"

    def __init__(self, details: str) -> None:
        super().__init__(details)
        self.headers.update({"Connection": "Upgrade", "Upgrade": "websocket"})


class SudoRequired(ApiError):
    """Carries `challenge_id`, which the one-time code has to come back with."""

    status = 428
    code = "SUDO_REQUIRED"
    error = "Confirmation required"


class HeadTooLarge(ApiError):
    status = 431
    code = "HEAD_TOO_LARGE"
    error = "Request header fields too large"


class RateLimited(ApiError):
    status = 429
    code = "RATE_LIMITED"
    error = "rate_limit_exceeded"


class ConcurrencyLimited(ApiError):
    status = 429
    code = "CONCURRENCY_LIMIT"
    error = "concurrency_limit_reached"


class PendingLimited(ConcurrencyLimited):
    """As many jobs wait as may; `error` stays the one that clients know as "try again later"."""

    code = "PENDING_LIMIT"


class InternalError(ApiError):
    pass


class SandboxFailed(InternalError):
    """The platform, not the program, failed: the agent, its container or the engine went away."""

    code = "SANDBOX_FAILED"
    error = "Sandbox failed"


class NotImplementedYet(ApiError):
    status = 501
    code = "NOT_IMPLEMENTED"
    error = "Not implemented"


class BadGateway(ApiError):
    status = 502
    code = "BAD_GATEWAY"
    error = "Bad gateway"


class Unavailable(ApiError):
    status = 503
    code = "UNAVAILABLE"
    error = "Service unavailable"


class RuntimeUnavailable(Unavailable):
    code = "RUNTIME_UNAVAILABLE"
    error = "Runtime unavailable"


class NoCapacity(Unavailable):
    code = "NO_CAPACITY"
    error = "No capacity"


class ServiceStarting(Unavailable):
    code = "SERVICE_STARTING"
    error = "Service is starting"

    def __init__(self, details: str) -> None:
        super().__init__(details)
        self.headers["Retry-After"] = "2"


class ServiceFrozen(Unavailable):
    code = "SERVICE_FROZEN"
    error = "Service is frozen"


class GatewayTimeout(ApiError):
    status = 504
    code = "GATEWAY_TIMEOUT"
    error = "Gateway timeout"


def error_kind(status: int, code: str | None = None) -> type[ApiError] | None:
    """The first kind in the tree with this status, and with this code where one is given."""
    return next(
        (
            kind
            for kind in _kinds(ApiError)
            if kind.status == status and code in (None, kind.code) and "code" in vars(kind)
        ),
        None,
    )


def _kinds(kind: type[ApiError]) -> Iterator[type[ApiError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)
