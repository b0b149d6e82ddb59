"""The entry point of the container image. Tests: tests/unit/model_init/test_pull.py."""

import signal
import sys
from argparse import ArgumentParser

from model_init.commands import COMMANDS, EXPECTED_ERRORS
from model_init.errors import report


def parser() -> ArgumentParser:
    parser = ArgumentParser("model_init", description="Publish, serve, and pull model bundles.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        subparser = commands.add_parser(command.name, help=command.help, description=command.help)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main() -> int:
    # Process 1 of a container ignores SIGTERM unless it handles it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = parser().parse_args()
    try:
        options.run(options)
    except EXPECTED_ERRORS as error:
        return report(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
