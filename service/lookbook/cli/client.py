"""A client of a Lookbook server; the only module that imports requests."""

import random
import threading
import uuid
from collections.abc import Mapping
from http.client import BadStatusLine, RemoteDisconnected
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError, InvalidHeader, ProtocolError
from urllib3.util import Retry

from lookbook.errors import RequestError, ServerUnreachable

CONNECT_SECONDS, READ_SECONDS = 5, 60
LONGEST_PAUSE = 30

_MODEL = "/v1/model"
_PREDICTIONS = "/v1/predictions"


class Refused(RequestError):
    """The server's error response to one request."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Client:
    """Sends requests to one server. Safe to call from several threads.

    Retries a bounded number of times: after a 503 as its Retry-After says, after a lost connection with a pause.
    """

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url.rstrip("/")
        # requests would send them to a proxy, too.
        self._proxies = {"no_proxy": _host(url)} if _is_loopback(_host(url)) else {}
        proxy = _proxy(url, self._proxies)
        self._server = f"{self._url} through the proxy {proxy}" if proxy else self._url
        self._bearer = _Bearer(token)
        self._local = threading.local()

    def model(self) -> dict[str, Any]:
        """The model's manifest. Call this first: it fails at once if there is no server."""
        manifest = self._request("GET", _MODEL, "labels")
        if not manifest["labels"]:
            raise self._foreign(f"{_MODEL} has no labels")
        return manifest

    def classify(self, name: str, data: bytes) -> dict[str, Any]:
        """The stored prediction for an image. It is stored once, even if the request is retried."""
        key = {"Idempotency-Key": uuid.uuid4().hex}
        try:
            return self._request("POST", _PREDICTIONS, "top", files={"image": (name, data)}, headers=key)
        except ServerUnreachable as error:
            # Some servers and proxies refuse a large body by closing the connection: check that this one still runs.
            self.model()
            raise Refused(
                "connection_lost",
                f"the server closed the connection; the image ({len(data) / 1e6:.1f} MB) may be too large for the "
                "server or a proxy: send a smaller one",
            ) from error

    def page(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """One page of the list: `items` and `next`."""
        return self._request("GET", _PREDICTIONS, "items", params=query)

    def samples(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """One page of the sampled predictions with their inputs: `items` and `next`."""
        return self._request("GET", "/v1/samples", "items", params=query)

    def evaluation(self, query: Mapping[str, Any]) -> dict[str, Any]:
        return self._request("GET", "/v1/evaluations", "models", params=query)

    def ground_truths(self, id: str) -> dict[str, Any]:
        """All judgments of a prediction as `items`, newest first."""
        return self._request("GET", f"{_PREDICTIONS}/{id}/ground-truths", "items")

    def judge(self, id: str, judgment: Mapping[str, Any]) -> dict[str, Any]:
        """Add a judgment. Repeating it changes nothing."""
        return self._request("POST", f"{_PREDICTIONS}/{id}/ground-truths", "annotator", str, json=judgment)

    def compare(self, comparison: Mapping[str, Any]) -> dict[str, Any]:
        """Store what a replay has found."""
        return self._request("POST", "/v1/comparisons", "report", dict, json=comparison)

    def image(self, id: str) -> tuple[bytes, str] | None:
        """What the model saw, and its media type; None if it is not kept."""
        response = self._send("GET", f"{_PREDICTIONS}/{id}/image")
        if response.status_code == 200:
            return response.content, response.headers["Content-Type"]
        if response.status_code == 404:
            return None
        raise _refusal(response, self._server)

    def _request(self, method: str, path: str, key: str, kind: type = list, **parts: Any) -> dict[str, Any]:
        """The JSON object that the server returns; it has a value of this kind under `key`."""
        response = self._send(method, path, **parts)
        if response.status_code in (200, 201):
            try:
                body = response.json()
            except requests.JSONDecodeError as error:
                raise self._foreign(f"{path} is not JSON") from error
            if not isinstance(body, dict) or not isinstance(body.get(key), kind):
                raise self._foreign(f"{path} has no {key}")
            return body
        if response.status_code == 404 and path == _MODEL:
            raise self._foreign(f"{path} was not found")
        raise _refusal(response, self._server)

    def _send(self, method: str, path: str, **parts: Any) -> requests.Response:
        """The response, whatever its status. Raises ServerUnreachable."""
        try:
            return self._session().request(
                method,
                self._url + path,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                proxies=self._proxies,
                **parts,
            )
        # requests does not wrap some of urllib3's errors, such as that of an invalid host name.
        except (requests.RequestException, HTTPError) as error:
            raise ServerUnreachable(
                f"cannot reach {self._server}: {_reason(error)}; check --url, and that the server is running"
            ) from error

    def _foreign(self, reason: str) -> Refused:
        return Refused("not_lookbook", f"{self._server} is not a Lookbook server: {reason}")

    def _session(self) -> requests.Session:
        """One per thread: requests does not promise that a session is thread-safe."""
        if not hasattr(self._local, "session"):
            session = self._local.session = requests.Session()
            session.auth = self._bearer
            session.mount(self._url, HTTPAdapter(max_retries=_retry(connect=4)))
            session.mount(self._url + _MODEL, HTTPAdapter(max_retries=_retry(connect=0)))
        opened: requests.Session = self._local.session
        return opened


class _Bearer(AuthBase):
    """The token, if any. Without this class, requests would send a password from ~/.netrc."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            # http.client encodes headers as Latin-1; this way the token is sent as UTF-8.
            token = self._token.encode().decode("latin-1")
            request.headers["Authorization"] = f"Bearer {token}"
        return request


class _Retry(Retry):
    def parse_retry_after(self, retry_after: str) -> float:
        """Seconds to wait: slightly more than requested, so that clients refused together do not return together.

        0 if the header of some proxy is neither seconds nor a time: the usual pause applies.
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
        # 502 and 504 come from a proxy whose server is unavailable.
        status_forcelist=(502, 503, 504),
        allowed_methods=None,
        raise_on_status=False,
        backoff_factor=0.5,
        backoff_max=2,
        retry_after_max=LONGEST_PAUSE,
    )


def _refusal(response: requests.Response, server: str) -> Refused:
    try:
        error = response.json()["error"]
        if response.status_code == 401:
            given = "Authorization" in response.request.headers
            complaint = "the server rejected the token: check" if given else "the server requires a token: set"
            return Refused(str(error["code"]), f"{complaint} --token or LOOKBOOK_TOKEN")
        if error["code"] == "forbidden":
            return Refused("forbidden", f"{error['message']}; set another one with --token or LOOKBOOK_TOKEN")
        return Refused(str(error["code"]), str(error["message"]))
    except (requests.JSONDecodeError, KeyError, TypeError):
        moved = response.headers.get("Location")
        to = f", redirecting to {moved}" if moved else ""
        return Refused(
            f"http_{response.status_code}", f"{server} responded with {response.status_code} {response.reason}{to}"
        )


def _reason(error: BaseException) -> str:
    """The last part of the message of the innermost error, without the names of urllib3's objects."""
    cause: Any = error.args[0] if error.args and isinstance(error.args[0], BaseException) else error
    while inner := getattr(cause, "original_error", None) or getattr(cause, "reason", None):
        cause = inner
    if isinstance(cause, ProtocolError) and isinstance(cause.args[-1], BaseException):
        cause = cause.args[-1]  # after "Connection aborted."
    if isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected):
        return "what is running there does not respond with HTTP"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause).rpartition(": ")[2]


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _proxy(url: str, proxies: Mapping[str, str]) -> str | None:
    """The proxy that the environment names for the URL, without its password."""
    found = select_proxy(url, get_environ_proxies(url, proxies.get("no_proxy")))
    return found and urlsplit(found)._replace(netloc=urlsplit(found).netloc.rpartition("@")[2]).geturl()
