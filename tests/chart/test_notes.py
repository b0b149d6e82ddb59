"""What helm prints after an installation."""

import re
import subprocess

from tests.support.chart import tool
from tests.support.places import CHART


def notes(*arguments: str) -> str:
    command = [tool("helm"), "install", "lookbook", str(CHART), "--namespace", "shop", "--dry-run=client", *arguments]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return printed.partition("NOTES:\n")[2]


def test_the_commands_set_the_token_that_they_send() -> None:
    text = notes("--set", "auth.existingSecret=our-tokens")
    assert "--namespace shop get secret our-tokens " in text
    assert 0 < text.index("TOKEN=$(") < text.index("$TOKEN")
    assert "TOKEN" not in notes()


def test_the_warnings_say_what_to_do() -> None:
    text = " ".join(notes().split())
    assert "can read, add, and delete predictions" in text
    (section,) = re.findall(r'follow "(.+?)" in the chart\'s README', text)
    assert f"## {section}\n" in (CHART / "README.md").read_text()


def test_it_says_what_is_kept_of_images() -> None:
    assert "The pixels that the model sees of a random sample of the images are kept for up to 28 days." in notes()
    text = notes("--set", "settings.keep=original,settings.keep_for=all,settings.keep_days=7")
    assert "The uploaded files of all images are kept for up to 7 days." in text
    assert " are kept for up to " not in notes("--set", "settings.keep=none")
