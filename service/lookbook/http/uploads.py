"""The image in a request, and the request's idempotency key."""

import re

from flask import Request

from lookbook.errors import InvalidRequest, UnsupportedMediaType
from lookbook.http.body import read_body
from lookbook.http.multipart import read_form
from lookbook.pipeline import Upload

FIELD = "image"
MAX_NAME = 1024

_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def read_upload(request: Request, raw: bool) -> Upload:
    """The one image of a multipart body or, if `raw`, of an image/* body.

    Raises InvalidRequest, ImageTooLarge, UnsupportedMediaType, or BodyTimeout.
    """
    if request.mimetype == "multipart/form-data":
        return _read_form(request)
    if raw and request.mimetype.startswith("image/"):
        return Upload(read_body(request), "")
    wanted = "multipart/form-data" + (" or image/*" if raw else "")
    raise UnsupportedMediaType(f"the Content-Type must be {wanted}; it is {request.mimetype or 'missing'}")


def read_key(request: Request) -> str | None:
    """The Idempotency-Key, None if there is none; raises InvalidRequest."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidRequest("Idempotency-Key must be 1 to 255 printable ASCII characters")
    return key


def _read_form(request: Request) -> Upload:
    form = read_form(request, FIELD)
    files = form.files
    if len(files) > 1:
        raise InvalidRequest(f"the form has {len(files)} parts named '{FIELD}'; send one image per request")
    if not files:
        found = ", ".join(repr(name[:100]) for name in form.other_names) or "none"
        raise InvalidRequest(f"no part named '{FIELD}' in the form; parts found: {found}; name the part '{FIELD}'")
    name, data = files[0]
    if len(name) > MAX_NAME:
        raise InvalidRequest(f"the file name is longer than {MAX_NAME} characters; shorten it")
    return Upload(data, name.replace("\0", "\ufffd"))
