"""Changed code is served: LOOKBOOK_RELOAD."""

import shutil
from collections.abc import Callable
from pathlib import Path

import requests

from tests.conftest import ROOT
from tests.running import Service, until


def said(service: Service) -> str | None:
    """The code of an error; None where nothing answers."""
    try:
        return str(requests.get(f"{service.url}/v1/predictions?limit=0", timeout=5).json()["error"]["code"])
    except requests.RequestException:
        return None


def test_changed_code_is_served_and_broken_code_waits_for_the_next_change(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "service", tmp_path / "service")
    service = serve(("env", f"--chdir={tmp_path}"), reload=True).ready()
    assert said(service) == "invalid_request"
    module = tmp_path / "service/errors.py"
    code = module.read_text()
    module.write_text(code.replace('"invalid_request"', '"changed"'))
    until(lambda: said(service) == "changed")
    module.write_text("(")
    until(lambda: said(service) is None)
    until(lambda: "SyntaxError" in service.log.read_text())
    module.write_text(code)
    until(lambda: said(service) == "invalid_request")
    assert service.stop() == 0
