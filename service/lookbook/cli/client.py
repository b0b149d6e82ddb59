"""A Lookbook server as its clients see it; the only importer of the HTTP library."""

import random
import threading
import uuid
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util import Retry

from lookbook.errors import RequestError, ServerUnreachable

CONNECT_SECONDS, READ_SECONDS = 5, 60
LONGEST_PAUSE = 30

_MODEL = "/v1/model"
_PREDICTIONS = "/v1/predictions"


class Refused(RequestError):
    """What the server says of one request."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Client:
    """Talks to one server. Safe to call from several threads.

    A 503 is tried again as its Retry-After says, a lost connection after a pause, both a bounded number of times.
    """

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url.rstrip("/")
        self._bearer = _Bearer(token)
        self._local = threading.local()

    def model(self) -> dict[str, Any]:
        """The model's manifest. The first thing to ask: it does not wait for a server that isn't there."""
        manifest = self._ask("GET", _MODEL, "labels")
        if not manifest["labels"]:
            raise self._foreign(f"{_MODEL} has no labels")
        return manifest

    def classify(self, name: str, data: bytes) -> dict[str, Any]:
        """The stored record of a picture; however often it is sent for that, it is stored once."""
        key = {"Idempotency-Key": uuid.uuid4().hex}
        try:
            return self._ask("POST", _PREDICTIONS, "top", files={"image": (name, data)}, headers=key)
        except ServerUnreachable as error:
            # Some refuse a large body by hanging up: a server that still answers is not away.
            self.model()
            much = f"{len(data) / 1e6:.1f} MB"
            raise Refused("connection_lost", f"the server hung up; {much} may be more than it takes") from error

    def page(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """One page of the list: `items` and `next`."""
        return self._ask("GET", _PREDICTIONS, "items", params=query)

    def _ask(self, method: str, path: str, wanted: str, **parts: Any) -> dict[str, Any]:
        """The answer, an object with a list under the name that is `wanted`."""
        try:
            response = self._session().request(
                method, self._url + path, timeout=(CONNECT_SECONDS, READ_SECONDS), allow_redirects=False, **parts
            )
            if response.status_code in (200, 201):
                answer = response.json()
                if not isinstance(answer, dict) or not isinstance(answer.get(wanted), list):
                    raise self._foreign(f"{path} has no {wanted}")
                return answer
            if response.status_code == 404 and path == _MODEL:
                raise self._foreign(f"{path} is not there")
        except requests.JSONDecodeError as error:
            raise self._foreign(f"{path} is not JSON") from error
        # urllib3's own where requests lets it through, as of an address that can't be one.
        except (requests.RequestException, HTTPError) as error:
            raise ServerUnreachable(f"{self._url} can't be reached: {_reason(error)}") from error
        raise _refusal(response)

    def _foreign(self, reason: str) -> Refused:
        return Refused("not_lookbook", f"{self._url} is no Lookbook server: {reason}")

    def _session(self) -> requests.Session:
        """Each thread's own: requests does not promise that one may be shared."""
        if not hasattr(self._local, "session"):
            session = self._local.session = requests.Session()
            session.auth = self._bearer
            session.mount(self._url, HTTPAdapter(max_retries=_retry(connect=4)))
            session.mount(self._url + _MODEL, HTTPAdapter(max_retries=_retry(connect=0)))
        opened: requests.Session = self._local.session
        return opened


class _Bearer(AuthBase):
    """The token, if there is one; without this, requests would send what ~/.netrc says."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            # Latin-1, in which http.client sends, for these to be the token's bytes in UTF-8.
            token = self._token.encode().decode("latin-1")
            request.headers["Authorization"] = f"Bearer {token}"
        return request


class _Retry(Retry):
    def parse_retry_after(self, retry_after: str) -> float:
        """Seconds, a little more than were asked for: clients refused together do not come back together.

        0, for the pause of a server that names none, where a proxy writes what is neither seconds nor a time.
        """
        try:
            return super().parse_retry_after(retry_after) + random.uniform(0, 0.3)  # noqa: S311
        except InvalidHeader:
            return 0


def _retry(connect: int) -> Retry:
    return _Retry(
        total=None,
        connect=connect,
        read=2,
        status=15,
        # What a proxy says while the server behind it is away is worth another try, too.
        status_forcelist=(502, 503, 504),
        allowed_methods=None,
        raise_on_status=False,
        backoff_factor=0.5,
        backoff_max=2,
        retry_after_max=LONGEST_PAUSE,
    )


def _refusal(response: requests.Response) -> Refused:
    try:
        error = response.json()["error"]
        if response.status_code == 401:
            given = "Authorization" in response.request.headers
            complaint = "the server does not accept this token" if given else "the server wants a token"
            return Refused(str(error["code"]), f"{complaint}: --token or LOOKBOOK_TOKEN")
        return Refused(str(error["code"]), str(error["message"]))
    except (requests.JSONDecodeError, KeyError, TypeError):
        moved = response.headers.get("Location")
        to = f" and points to {moved}" if moved else ""
        return Refused(
            f"http_{response.status_code}", f"the server answers {response.status_code} {response.reason}{to}"
        )


def _reason(error: requests.RequestException | HTTPError) -> str:
    """The last part of what urllib3 says, without its objects' names."""
    cause = error.args[0] if error.args else error
    return str(getattr(cause, "reason", cause)).rpartition(": ")[2]
