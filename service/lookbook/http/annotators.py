"""Who judges. Tests: tests/unit/test_ground_truths.py."""

from collections.abc import Mapping

from lookbook.errors import Forbidden
from lookbook.http.authentication import token_name
from lookbook.http.json_body import read_text


def read_annotator(body: Mapping[str, object]) -> str:
    """The name of the token or, if it has none, the name in the body; empty if there is neither.

    Raises InvalidRequest, and Forbidden if the client gives another name than the token's.
    """
    name = token_name()
    if "annotator" not in body:
        return name
    text = read_text("annotator", body["annotator"], minimum=0)
    if name and text != name:
        raise Forbidden(f"annotator must be {name!r}, the name of this token: leave it out, or use another token")
    return text
