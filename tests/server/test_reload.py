"""LOOKBOOK_RELOAD: the server restarts when code changes."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support.places import ROOT
from tests.support.running import Service, error_code, until


def test_changed_code_is_served_and_broken_code_waits_for_the_next_change(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "service/lookbook", tmp_path / "lookbook")
    service = serve(("env", f"--chdir={tmp_path}"), reload=True).ready()
    bad_request = f"{service.url}/v1/predictions?limit=0"
    assert error_code(bad_request) == "invalid_request"
    module = tmp_path / "lookbook/errors.py"
    code = module.read_text()
    module.write_text(code.replace('"invalid_request"', '"changed"'))
    until(lambda: error_code(bad_request) == "changed")
    module.write_text("(")
    until(lambda: error_code(bad_request) is None)
    until(lambda: "SyntaxError" in service.log.read_text())
    module.write_text(code)
    until(lambda: error_code(bad_request) == "invalid_request")
    assert service.stop() == 0
