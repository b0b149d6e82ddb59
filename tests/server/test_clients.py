"""The client libraries of KServe and Triton, in their own environment."""

import json
import os
import subprocess
from collections.abc import Callable

import pytest
import requests

from tests.support.places import CLOTHES, PHOTOS, ROOT
from tests.support.requirements import lacking
from tests.support.running import Service

PYTHON = ROOT / ".venv-clients/bin/python"
SHOWN = {"shirt": "Shirt", "hat": "Hat", "shorts": "Shorts", "trousers": "Trouser"}


@pytest.mark.parametrize("kind", ["triton-json", "triton-binary", "kserve-json", "kserve-binary"])
def test_a_public_client_classifies_images(serve: Callable[..., Service], kind: str) -> None:
    if not PYTHON.exists():
        lacking("no .venv-clients: make it with `make clients`", "CLIENTS")
    service = serve(model=CLOTHES).ready()
    photos = [str(PHOTOS / f"{name}.jpg") for name in SHOWN]
    run = subprocess.run(
        [PYTHON, ROOT / "tests/support/clients.py", kind, service.url, *photos],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["label"] == list(SHOWN.values())
    assert [row[0].split(":")[2] for row in found["classes"]] == list(SHOWN.values())
    assert {len(row) for row in found["classes"]} == {3}
    assert [sum(row) for row in found["scores"]] == pytest.approx([1.0] * len(SHOWN), abs=0.001)
    assert found["id"] == "mine"
    ids = found["parameters"]["prediction_ids"].split(",")
    predictions = [requests.get(f"{service.url}/v1/predictions/{id}", timeout=5).json() for id in ids]
    assert [prediction["label"] for prediction in predictions] == list(SHOWN.values())
    assert found["refusal"] == [415, "image 1 of 1: the file is not a JPEG, PNG, or WebP image"]
