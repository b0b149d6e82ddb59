import io
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest
from lookbook.model.bundle import read_bundle

from tests.support.model_init import COMMAND, ENVIRONMENT, files, start
from tests.support.places import MLP
from tests.support.running import until

FILES = files(MLP)


def packed(content: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        if kind != tarfile.REGTYPE:
            entry = tarfile.TarInfo("other")
            entry.type, entry.linkname = kind, "/etc/passwd"
            tar.addfile(entry)
    return target.getvalue()


def receive(volume: Path, tar: bytes, size: int | None = None) -> "subprocess.CompletedProcess[bytes]":
    command = [*COMMAND, "receive", "--bytes", str(len(tar) if size is None else size), "--volume", str(volume)]
    return subprocess.run(command, env=ENVIRONMENT, input=tar, capture_output=True, timeout=60)


def test_it_ends_after_the_last_byte_even_if_the_input_stays_open(volume: Path) -> None:
    tar = packed(FILES)
    process = start("receive", "--bytes", len(tar), "--volume", volume, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(tar)
    process.stdin.flush()
    assert process.wait(30) == 0
    assert (
        process.communicate()[0].decode() == f"published fashion-mnist-mlp/2.2.0 (digest {read_bundle(MLP).digest})\n"
    )
    assert files(volume / "fashion-mnist-mlp/2.2.0") == FILES


def test_receiving_again_only_verifies(volume: Path) -> None:
    receive(volume, packed(FILES))
    again = receive(volume, packed(FILES))
    assert again.returncode == 0
    assert b"already published" in again.stdout


@pytest.mark.parametrize(
    ("tar", "reason"),
    [
        (packed({**FILES, "../evil": b"x"}), "outside the bundle"),
        (packed({**FILES, "/tmp/evil": b"x"}), "outside the bundle"),
        (packed({**FILES, "notes.txt": b"x"}), "is not in the manifest"),
        (packed(FILES, tarfile.SYMTYPE), "is not a regular file"),
        (packed(FILES, tarfile.LNKTYPE), "is not a regular file"),
        (packed(FILES, tarfile.CHRTYPE), "is not a regular file"),
        (packed({f"golden/{count}": b"" for count in range(1001)}), "more than 1000 files"),
        (b"no tar at all" * 1000, "not a tar archive of a bundle"),
        (packed({name: data for name, data in FILES.items() if name != "model.tflite"}), "model.tflite: No such file"),
        (packed({**FILES, "model.tflite": b"swapped"}), "7 bytes, but the manifest says"),
    ],
)
def test_a_bad_tar_is_refused_in_one_line(volume: Path, tar: bytes, reason: str) -> None:
    refused = receive(volume, tar)
    assert refused.returncode in (1, 3, 4)
    assert reason in refused.stderr.decode()
    assert refused.stderr.count(b"\n") == 1
    assert not [found for found in volume.rglob("*") if found.name not in (".publishing", ".settling")]
    assert not Path("/tmp/evil").exists()


def test_a_file_larger_than_the_announced_size_is_refused(volume: Path) -> None:
    entry = tarfile.TarInfo("model.tflite")
    entry.size = 10_000_000_000
    tar = entry.tobuf() + b"\0" * 10_000
    refused = receive(volume, tar)
    assert refused.returncode == 1
    assert f"larger than the archive itself ({len(tar)} bytes)" in refused.stderr.decode()


def test_truncated_input_publishes_nothing(volume: Path) -> None:
    tar = packed(FILES)
    refused = receive(volume, tar[:50_000], len(tar))
    assert refused.returncode == 1
    assert f"50000 of {len(tar)} bytes, then the input ended" in refused.stderr.decode()
    assert not (volume / "fashion-mnist-mlp").exists()


def test_nothing_is_left_behind_when_terminated(volume: Path) -> None:
    process = start("receive", "--bytes", 1000, "--volume", volume, stdin=subprocess.PIPE)
    until(lambda: list(volume.glob(".publish-*")))
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    process.communicate()
    assert not list(volume.glob(".publish-*"))
