"""The errors of the commands, one class for each exit code, and the line that a failed command leaves.

Exit code 0 is success and 2 a wrong argument.
"""

import errno
import os
import sys
from pathlib import Path

from lookbook.errors import LookbookError
from lookbook.model.bundle import BundleError, MalformedManifestError

# The kubelet shows its content as the reason why a container ended.
TERMINATION_LOG = Path("/dev/termination-log")


class Refused(LookbookError):
    """The input cannot be used; the message says why."""

    exit_code = 1


class BundleNotFound(LookbookError):
    """The bundle, or one of its files, does not exist."""

    exit_code = 3


class DigestMismatch(LookbookError):
    """The manifest does not have the pinned digest, or a file does not have the digest in the manifest."""

    exit_code = 4


class DiskFull(LookbookError):
    """There is no space left on the volume."""

    exit_code = 5


class MalformedManifest(LookbookError):
    """The bundle's manifest cannot be parsed."""

    exit_code = 6


class TimedOut(LookbookError):
    """The source was not reachable, or the sender stopped sending."""

    exit_code = 7


def exit_code_of(error: BaseException) -> int:
    match error:
        case MalformedManifestError():
            return MalformedManifest.exit_code
        case BundleError():
            return exit_code_of(error.__cause__) if error.__cause__ else DigestMismatch.exit_code
        case LookbookError():
            return error.exit_code
        case FileNotFoundError() | NotADirectoryError():
            return BundleNotFound.exit_code
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return DiskFull.exit_code
    return Refused.exit_code


def report(error: Exception) -> int:
    """Write the error as one line to stderr and to a pod's termination message; returns its exit code."""
    line = "model-init: " + " ".join(str(error).split())
    print(line, file=sys.stderr)
    try:
        # Opened without O_CREAT: outside a pod there is none.
        log = os.open(TERMINATION_LOG, os.O_WRONLY | os.O_TRUNC)
    except OSError:
        return exit_code_of(error)
    with open(log, "w") as file:
        file.write(line)
    return exit_code_of(error)
