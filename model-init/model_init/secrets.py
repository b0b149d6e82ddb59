"""Creates the Secrets that hold the passwords of Cassandra's roles. Tests: tests/e2e/test_install.py."""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from kubernetes.client import ApiException, CoreV1Api, V1ObjectMeta, V1Secret
from kubernetes.config import ConfigException, load_incluster_config
from urllib3.exceptions import HTTPError

from model_init.errors import Refused

NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
LABELS = {"app.kubernetes.io/name": "lookbook", "app.kubernetes.io/managed-by": "lookbook"}
TIMEOUT = 10  # seconds, for each call of the API


def create_secrets(usernames: Mapping[str, str], labels: Mapping[str, str]) -> list[str]:
    """Create the Secrets (name -> username) that do not exist; returns a line for people about each."""
    try:
        load_incluster_config()
        api, namespace = CoreV1Api(), NAMESPACE.read_text().strip()
        return [_create(api, namespace, name, username, {**LABELS, **labels}) for name, username in usernames.items()]
    except ApiException as error:
        raise Refused(
            f"the Kubernetes API responded with {error.status}: {_message(error)}: check the Role of the schema Job"
        ) from error
    except (ConfigException, HTTPError) as error:
        raise Refused(f"cannot use the Kubernetes API: {error}: check the token and the network of this pod") from error


def _create(api: CoreV1Api, namespace: str, name: str, username: str, labels: dict[str, str]) -> str:
    if _exists(api, namespace, name):
        return f"Secret {name} already exists"
    secret = V1Secret(
        metadata=V1ObjectMeta(name=name, labels=labels),
        type="Opaque",
        string_data={"username": username, "password": secrets.token_urlsafe(24)},
    )
    try:
        api.create_namespaced_secret(namespace, secret, _request_timeout=TIMEOUT)
    except ApiException as error:
        if error.status != 409:
            raise
        return f"Secret {name} already exists"  # created by another Job in the meantime
    return f"Secret {name} created"


def _exists(api: CoreV1Api, namespace: str, name: str) -> bool:
    try:
        api.read_namespaced_secret(name, namespace, _request_timeout=TIMEOUT)
    except ApiException as error:
        if error.status != 404:
            raise
        return False
    return True


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
