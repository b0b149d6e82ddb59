"""The commands of the container image, their arguments, and what each runs.

Tests: tests/unit/model_init/test_publish.py.

Each command imports its own modules: the Kubernetes client alone takes half a second to import, and a pull that
finds its bundle ready should end at once.
"""

import argparse
import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lookbook.errors import LookbookError

from model_init.errors import Refused, report

SHIPPED = Path("/models")
EXPECTED_ERRORS = (LookbookError, OSError)


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    help: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], None]


def _volume_argument(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--volume", type=Path, default=Path("/volume"), help="folder where the volume is mounted (default: /volume)"
    )


def _publish_arguments(parser: ArgumentParser) -> None:
    _volume_argument(parser)
    parser.add_argument(
        "bundles",
        type=Path,
        nargs="*",
        metavar="BUNDLE",
        help="folder of a bundle, or a folder that contains bundles as <name>/<version>",
    )
    parser.add_argument(
        "--shipped",
        type=Path,
        nargs="?",
        const=SHIPPED,
        metavar="FOLDER",
        help=f"also publish the bundles in the container image ({SHIPPED}); "
        "if one is refused, that is an error only if the volume is empty",
    )


def _publish(options: Namespace) -> None:
    from model_init.publish import find_bundles, publish
    from model_init.volume import Volume

    folders = [*options.bundles, *([options.shipped] if options.shipped else [])]
    if not folders:
        raise Refused("nothing to publish: give the folder of a bundle, or --shipped")
    volume, code = Volume(options.volume), 0
    for bundle in (bundle for folder in folders for bundle in find_bundles(folder)):
        try:
            print(publish(bundle, volume), flush=True)
        except EXPECTED_ERRORS as error:
            code = report(error)
    # If someone published their own version in place of a shipped one, the pod still serves what is there.
    if code and not (options.shipped and volume.entries()):
        sys.exit(code)


def _receive_arguments(parser: ArgumentParser) -> None:
    _volume_argument(parser)
    parser.add_argument("--bytes", type=int, required=True, help="size of the tar archive, in bytes")


def _receive(options: Namespace) -> None:
    from model_init.receive import receive
    from model_init.volume import Volume

    print(receive(sys.stdin.fileno(), options.bytes, Volume(options.volume)))


def _list(options: Namespace) -> None:
    from model_init.volume import Volume

    print(json.dumps(Volume(options.volume).entries()))


def _serve_arguments(parser: ArgumentParser) -> None:
    _volume_argument(parser)
    parser.add_argument(
        "--bind",
        default="[::]:8080",
        help="address to listen on (default: [::]:8080, which is all addresses, even where there is no IPv6)",
    )


def _serve(options: Namespace) -> None:
    from model_init.serve import Server

    Server(options.volume, options.bind).run()


def _pull_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--source", type=_location, required=True, help="http://host:port, or the path of a volume")
    parser.add_argument("--name", required=True, help="name of the bundle")
    parser.add_argument("--version", required=True, help="version of the bundle")
    parser.add_argument("--digest", help="SHA-256 of the manifest; without it, any bundle is accepted")
    parser.add_argument("--into", type=Path, default=Path("/model"), help="folder to write to (default: /model)")
    parser.add_argument(
        "--wait", type=float, default=60, help="seconds to wait for the source and the bundle (default: 60)"
    )


def _location(text: str) -> str:
    parts = urlsplit(text)
    if not text.startswith("/") and not (parts.scheme == "http" and parts.hostname and parts.port != 0):
        raise argparse.ArgumentTypeError("must be http://host:port or the path of a volume")
    return text


def _pull(options: Namespace) -> None:
    from model_init.download import BundleReference
    from model_init.pull import pull

    location, digest = options.source.rstrip("/"), options.digest or None
    reference = BundleReference(location, options.name, options.version, digest)
    print(pull(reference, options.into, options.wait))


def _secrets_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--admin", required=True, metavar="NAME", help="Secret of the role that creates the tables")
    parser.add_argument("--service", required=True, metavar="NAME", help="Secret of the service's role")
    parser.add_argument(
        "--label", type=_label, action="append", default=[], metavar="KEY=VALUE", help="label of both Secrets"
    )


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("must be key=value")
    return key, value


def _secrets(options: Namespace) -> None:
    from model_init.secrets import create_secrets

    usernames = {options.admin: "lookbook_admin", options.service: "lookbook"}
    for line in create_secrets(usernames, dict(options.label)):
        print(line)


COMMANDS = (
    Command("publish", "copy bundles from folders into the volume", _publish_arguments, _publish),
    Command("receive", "publish a bundle from a tar archive on standard input", _receive_arguments, _receive),
    Command("list", "print what is published, as JSON", _volume_argument, _list),
    Command("serve", "serve the volume over HTTP, read-only", _serve_arguments, _serve),
    Command("pull", "pull a bundle into this pod's folder", _pull_arguments, _pull),
    Command("secrets", "create the Secrets of Cassandra's roles if they do not exist", _secrets_arguments, _secrets),
)
