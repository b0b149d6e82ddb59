"""The bearer token that the page asks for."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import requests
from playwright.sync_api import Page, expect

from tests.support.browser import choose, copy_command, error_shown, expect_history, expect_tally
from tests.support.places import BAG, GOLDEN
from tests.support.running import Service


def test_the_token_is_requested_and_kept_in_the_tab(
    serve: Callable[..., Service], visit: Callable[..., Page], tmp_path: Path
) -> None:
    secret = "schlüssel-1"
    (tmp_path / "tokens").write_text(f"{secret}\n")
    service = serve(tokens_file=tmp_path / "tokens").ready()
    authorization = f"Bearer {secret}".encode().decode("latin-1")
    prediction = service.send(BAG.read_bytes(), Authorization=authorization).json()
    page = visit(
        f"{service.url}/#{prediction['id']}",
        ("status of 401",),
        permissions=["clipboard-read", "clipboard-write"],
    )
    prompt = page.get_by_role("dialog", name="Token required")

    def enter(token: str) -> None:
        expect(prompt.get_by_label("Bearer token")).to_be_focused()
        page.keyboard.type(token)
        page.keyboard.press("Enter")

    enter("wrong")
    expect(prompt).to_contain_text("This token is not valid. Check it, or ask for a new one.")
    enter(secret)
    expect(prompt).to_be_hidden()
    expect(page.get_by_role("dialog", name="Bag").get_by_role("img")).to_have_js_property("naturalWidth", 28)
    expect(page.locator(".tile img")).to_have_js_property("naturalWidth", 28)
    command = copy_command(page)
    assert secret not in command
    ran = subprocess.run(
        command, shell=True, env={**os.environ, "TOKEN": secret}, capture_output=True, check=True, timeout=30
    )
    assert json.loads(ran.stdout) == prediction
    page.get_by_role("button", name="Close").click()
    choose(page, *GOLDEN)
    expect_tally(page, "3 images: 3 classified")
    page.reload()
    expect(page.locator(".tile")).to_have_count(4)
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
    page.get_by_role("button", name="Forget token").click()
    expect(prompt).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    page.keyboard.press("Escape")
    expect_history(page, f"Cannot load the history. {error_shown(requests.get(f'{service.url}/v1/model'))}")
    choose(page, GOLDEN[0])
    enter(secret)
    expect(page.locator(".tile")).to_have_count(5)
    expect(page.locator("#filter [name=label] option")).to_have_count(11)
