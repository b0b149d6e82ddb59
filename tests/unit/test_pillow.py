"""Every program that decodes images configures Pillow first; decode() refuses to work otherwise."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.support.commands import SOURCES, lookbook
from tests.support.images import BOMB, encoded
from tests.support.places import ROOT
from tests.support.running import Service

# The most pixels that are accepted.
LARGE = encoded(Image.new("L", (5000, 5000)))
# Here Pillow would raise an error of its own.
HUGE = encoded(Image.new("1", (14_000, 14_000)))

UNCONFIGURED = """
import sys
from pathlib import Path
from lookbook.model.bundle import read_bundle
from lookbook.model.inference import Classifier
Classifier(read_bundle(Path(sys.argv[1])))
"""


def test_nothing_is_decoded_before_pillow_is_configured() -> None:
    command = [sys.executable, "-c", UNCONFIGURED, str(ROOT / "models/fashion-mnist-mlp/2.2.0")]
    ended = subprocess.run(command, env={"PYTHONPATH": SOURCES}, capture_output=True, text=True, timeout=60)
    assert "RuntimeError: call lookbook.model.pillow.configure_pillow() before decoding images" in ended.stderr


def test_classify_has_no_limit_but_its_own(tmp_path: Path) -> None:
    for name, data in (("large", LARGE), ("bomb", BOMB), ("huge", HUGE)):
        (tmp_path / f"{name}.png").write_bytes(data)
    ended = lookbook("classify", "--csv", tmp_path, PYTHONWARNINGS="error")
    assert ended.stderr.splitlines()[:2] == [
        f"lookbook: {tmp_path}/bomb.png: the image has 169.0 megapixels; the limit is 25.0: make it smaller",
        f"lookbook: {tmp_path}/huge.png: the image has 196.0 megapixels; the limit is 25.0: make it smaller",
    ]
    assert f"\n{tmp_path}/large.png," in ended.stdout.replace("\r", "")


def test_a_server_has_no_limit_but_its_own(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    assert [service.send(data).status_code for data in (LARGE, BOMB, HUGE)] == [201, 413, 413]


@pytest.mark.parametrize(
    "program",
    [
        "service/lookbook/build/builder.py",
        "training/train.py",
        "training/evaluate.py",
        "training/export.py",
        "benchmarks/bench.py",
    ],
)
def test_the_other_programs_configure_pillow(program: str) -> None:
    assert "    configure_pillow()\n" in (ROOT / program).read_text()
