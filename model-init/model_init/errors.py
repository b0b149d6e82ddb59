"""Every way in which a command ends, and where its last line is left."""

import errno
import os
import sys
from enum import IntEnum
from pathlib import Path

from lookbook.model.bundle import BundleError, MalformedManifestError

TERMINATION_LOG = Path("/dev/termination-log")


class Exit(IntEnum):
    """The exit codes; 0 is done, and 2 wrong arguments."""

    FAILED = 1  # none of those below; the line says what
    NOT_FOUND = 3  # no such bundle
    DIGEST_MISMATCH = 4  # a manifest other than the pinned one, or a file other than the manifest's
    NO_SPACE = 5
    MALFORMED_MANIFEST = 6
    TIMED_OUT = 7  # the source was not reached, or the sender fell silent


class Failure(Exception):
    """Ends the command with a code and one line that says what to do next."""

    def __init__(self, code: Exit, line: str) -> None:
        super().__init__(line)
        self.code = code


def code_of(error: BaseException | None) -> Exit:
    match error:
        case Failure():
            return error.code
        case MalformedManifestError():
            return Exit.MALFORMED_MANIFEST
        case BundleError():
            return code_of(error.__cause__) if error.__cause__ else Exit.DIGEST_MISMATCH
        case FileNotFoundError() | NotADirectoryError():
            return Exit.NOT_FOUND
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return Exit.NO_SPACE
    return Exit.FAILED


def report(error: Exception) -> Exit:
    """Leave the error as one line on stderr and, in a pod, in the termination message."""
    line = "model-init: " + " ".join(str(error).split())
    print(line, file=sys.stderr)
    try:
        # Only where it exists: the kubelet mounts it.
        log = os.open(TERMINATION_LOG, os.O_WRONLY | os.O_TRUNC)
    except OSError:
        return code_of(error)
    with open(log, "w") as file:
        file.write(line)
    return code_of(error)
