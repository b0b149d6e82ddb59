"""The script of `helm test`, on a server."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.places import CHART
from tests.support.running import Service


def test_it_uses_a_token_that_may_classify_and_read(serve: Callable[..., Service], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("one read Ana\n\ntwo predict,read,review\nthree\n")
    service = serve(tokens_file=tmp_path / "tokens").ready()

    def check(tokens: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(CHART / "files/check.py"), service.url]
        environment = {**os.environ, "TOKENS": tokens}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    for tokens in ((tmp_path / "tokens").read_text(), "one read\nthree"):
        ended = check(tokens)
        assert ended.returncode == 0, ended.stderr
    refused = check("one read Ana\n")
    assert refused.returncode == 1
    assert "no token of the Secret has the roles predict and read" in refused.stderr
