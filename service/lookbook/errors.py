"""Errors with messages for people. `cli.main` turns them into exit codes, `http.errors` into responses."""

from typing import ClassVar


class LookbookError(Exception):
    """The message says in one line what failed, why, and what to do next."""

    exit_code: int = 1


class SettingsError(LookbookError):
    """A setting cannot be used; the message names it."""

    exit_code = 2


class ServerUnreachable(LookbookError):
    """No request can succeed until the server is reachable again."""


class RequestError(LookbookError):
    """One request failed. `retry_after` is in seconds, None if a retry would fail, too."""

    status: ClassVar[int]
    code: str
    retry_after: ClassVar[int | None] = None


class InvalidRequest(RequestError):
    status, code = 400, "invalid_request"


class InvalidImage(RequestError):
    status, code = 400, "invalid_image"


class Unauthorized(RequestError):
    status, code = 401, "unauthorized"


class CrossSite(RequestError):
    status, code = 403, "cross_site"


class Forbidden(RequestError):
    status, code = 403, "forbidden"


class NotFound(RequestError):
    status, code = 404, "not_found"


class BodyTimeout(RequestError):
    status, code = 408, "body_timeout"


class TooManyJudgments(RequestError):
    status, code = 409, "too_many_judgments"


class Gone(RequestError):
    status, code = 410, "gone"


class ImageTooLarge(RequestError):
    status, code = 413, "image_too_large"


class UnsupportedMediaType(RequestError):
    status, code = 415, "unsupported_media_type"


class IdempotencyKeyReused(RequestError):
    status, code = 422, "idempotency_key_reused"


class Busy(RequestError):
    status, code, retry_after = 503, "busy", 1


class StoreUnavailable(RequestError):
    status, code, retry_after = 503, "store_unavailable", 2
