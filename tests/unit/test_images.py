import io
import os
import sys
from pathlib import Path

import pytest
from lookbook import images
from PIL import Image

from tests.support.images import encoded


def test_folders_are_searched_and_hidden_files_left_out(tmp_path: Path) -> None:
    for name in ("b/z.PNG", "b/a.png", "a.webp.png", ".hidden.png", ".cache/x.png", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "pipe.png")
    found = [str(Path(path).relative_to(tmp_path)) for path in images.find([str(tmp_path)])]
    assert found == ["a.webp.png", "b/a.png", "b/z.PNG"]


def test_paths_that_are_given_are_kept_as_they_are() -> None:
    assert list(images.find(["-", "/nowhere/b.txt", "a.png"])) == ["-", "/nowhere/b.txt", "a.png"]


def test_a_file_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "film.jpg").touch()
    os.truncate(tmp_path / "film.jpg", 5_000_000_000)
    with pytest.raises(OSError, match="larger than 128 MB"):
        images.read(str(tmp_path / "film.jpg"))


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"image")))
    assert images.read("-") == b"image"


def test_closed_standard_input_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(OSError, match="standard input is closed"):
        images.read("-")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a.jpg_large", "no-suffix", "a.txt"])
def test_an_image_is_found_by_its_content(tmp_path: Path, format: str, name: str) -> None:
    (tmp_path / name).write_bytes(encoded(Image.new("L", (9, 9)), format))
    (tmp_path / "notes.txt").write_text("RIFF")
    (tmp_path / "empty").touch()
    assert list(images.find([str(tmp_path)])) == [str(tmp_path / name)]
