"""What can go wrong with a request; app.py turns these into answers."""

from typing import ClassVar


class RequestError(Exception):
    """An error that a client is told of: HTTP status, code and message."""

    status: ClassVar[int]
    code: str
    retry_after: ClassVar[int | None] = None


class Unreachable(Exception):
    """A server that can't be reached: no other picture would fare better."""


class InvalidRequest(RequestError):
    status, code = 400, "invalid_request"


class InvalidImage(RequestError):
    status, code = 400, "invalid_image"


class Unauthorized(RequestError):
    status, code = 401, "unauthorized"


class CrossSite(RequestError):
    status, code = 403, "cross_site"


class NotFound(RequestError):
    status, code = 404, "not_found"


class BodyTimeout(RequestError):
    status, code = 408, "body_timeout"


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
