"""The command of the model-init image; errors.Exit lists its exit codes."""

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from lookbook.model.bundle import BundleError

from model_init.errors import Exit, Failure, report

SHIPPED = Path("/models")
REPORTED = (Failure, BundleError, OSError)

# Each command imports its own parts: the kubernetes client alone takes half a second, and a pull that
# finds READY is to end at once.


def _publish(options: argparse.Namespace) -> None:
    from model_init.publish import bundles_in, publish, told
    from model_init.volume import Volume

    folders = [*options.bundles, *([options.shipped] if options.shipped else [])]
    if not folders:
        raise Failure(Exit.FAILED, "nothing to publish: name a bundle's folder, or say --shipped")
    volume, code = Volume(options.volume), 0
    for bundle in (bundle for folder in folders for bundle in bundles_in(folder)):
        try:
            print(told(*publish(bundle, volume)), flush=True)
        except REPORTED as error:
            code = report(error)
    # A version of somebody's own in the place of a shipped one is no reason not to serve what stands there.
    if code and not (options.shipped and volume.entries()):
        sys.exit(code)


def _receive(options: argparse.Namespace) -> None:
    from model_init.publish import told
    from model_init.receive import receive
    from model_init.volume import Volume

    print(told(*receive(sys.stdin.fileno(), options.bytes, Volume(options.volume))))


def _list(options: argparse.Namespace) -> None:
    from model_init.volume import Volume

    print(json.dumps(Volume(options.volume).entries()))


def _serve(options: argparse.Namespace) -> None:
    from model_init.serve import Server

    Server(options.volume, options.bind).run()


def _pull(options: argparse.Namespace) -> None:
    from model_init.pull import Wanted, pull

    wanted = Wanted(options.source.rstrip("/"), options.name, options.version, options.digest or None)
    print(pull(wanted, options.into, options.wait))


def _secrets(options: argparse.Namespace) -> None:
    from model_init.secrets import make_secrets

    usernames = {options.admin: "lookbook_admin", options.service: "lookbook"}
    for line in make_secrets(usernames, dict(options.label)):
        print(line)


def _source(text: str) -> str:
    parts = urlsplit(text)
    if not text.startswith("/") and not (parts.scheme == "http" and parts.hostname and parts.port != 0):
        raise argparse.ArgumentTypeError("must be http://host:port or the path of a volume")
    return text


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("must be key=value")
    return key, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("model_init", description="Publish, serve and pull model bundles.")
    commands = parser.add_subparsers(required=True)

    def command(run: Callable[[argparse.Namespace], None], help: str, volume: bool = False) -> argparse.ArgumentParser:
        made = commands.add_parser(run.__name__.strip("_"), help=help, description=help)
        made.set_defaults(run=run)
        if volume:
            made.add_argument("--volume", type=Path, default=Path("/volume"))
        return made

    publish = command(_publish, "put bundles from folders into the volume", volume=True)
    publish.add_argument(
        "bundles", type=Path, nargs="*", metavar="BUNDLE", help="its folder, or one that holds <name>/<version>"
    )
    publish.add_argument(
        "--shipped",
        type=Path,
        nargs="?",
        const=SHIPPED,
        metavar="FOLDER",
        help=f"the bundles that the image carries ({SHIPPED}), where some may be refused while there is one to serve",
    )
    receive = command(_receive, "put a bundle from a tar on standard input into the volume", volume=True)
    receive.add_argument("--bytes", type=int, required=True, help="size of the tar")
    command(_list, "print what is published, as JSON", volume=True)
    serve = command(_serve, "serve the volume over HTTP, for reading only", volume=True)
    serve.add_argument("--bind", default="0.0.0.0:8080")
    pull = command(_pull, "bring a bundle into this pod's folder")
    pull.add_argument("--source", type=_source, required=True, help="http://host:port, or the path of a volume")
    pull.add_argument("--name", required=True)
    pull.add_argument("--version", required=True)
    pull.add_argument("--digest", help="the manifest's sha256; without it, whatever is published")
    pull.add_argument("--into", type=Path, default=Path("/model"))
    pull.add_argument("--wait", type=float, default=60, help="seconds that the source may take to have it")
    secrets = command(_secrets, "make the Secrets of Cassandra's roles where they aren't there")
    secrets.add_argument("--admin", required=True, metavar="NAME")
    secrets.add_argument("--service", required=True, metavar="NAME")
    secrets.add_argument("--label", type=_label, action="append", default=[], metavar="KEY=VALUE")
    return parser


def main() -> int:
    # As process 1 of a container we would be deaf to it otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = _parser().parse_args()
    try:
        options.run(options)
    except REPORTED as error:
        return report(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
