"""The report of `lookbook replay --html` in a browser, from a file."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from lookbook.cli.report import write
from lookbook.judgment import GroundTruth
from lookbook.model.thumbnails import make_thumbnail
from lookbook.prediction import id_maker
from lookbook.replay.comparison import Comparison
from lookbook.replay.rerun import Rerun, Stored
from PIL import Image
from playwright.sync_api import Page, expect

from tests.support.places import PHOTOS

NAME = "clothes_of_the_summer_collection_2026_and_of_the_winter_collection"
HOSTILE = '<script>document.title = "x"</script>'
NOW = datetime.now(UTC)
TRUTHS = [GroundTruth("Dress", 1, NOW), GroundTruth("Coat", 1, NOW), GroundTruth(None, 1, NOW), None, None]


def rerun(number: int, truth: GroundTruth | None, candidate: str) -> Rerun:
    stored = Stored(id_maker()(), ("Coat", 0.7), number / 100, 1.0, truth)
    preview = make_thumbnail(Image.open(PHOTOS / "dress.jpg"), 240)
    return Rerun(stored, ("Coat", 0.7), (candidate, 0.6), preview)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    comparison = Comparison(f"{NAME}/1.0.0", f"{NAME}/2.0.0")
    for number, truth in enumerate(TRUTHS):
        comparison.add(rerun(number, truth, "Dress"))
    comparison.add(rerun(9, None, HOSTILE))
    for number in range(9):
        comparison.add(rerun(20 + number, None, "Coat"))
    path = tmp_path / "report.html"
    write(path, comparison.report(all_inputs=False), comparison.flips)
    return path


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_is_accessible(visit: Callable[..., Page], file: Path, scheme: str, width: int) -> None:
    page = visit(file.as_uri(), color_scheme=scheme, viewport={"width": width, "height": 800})
    channels = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (max(channels) < 64) == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert Axe().run(page).response["violations"] == []


def test_a_report_shows_both_labels_beside_each_image(visit: Callable[..., Page], file: Path) -> None:
    page = visit(file.as_uri())
    expect(page).to_have_title(f"{NAME}/2.0.0 compared with {NAME}/1.0.0")
    figures = page.locator("figure")
    expect(figures).to_have_count(6)
    expect(figures.first).to_contain_text("Coat 70%")
    expect(figures.first).to_contain_text("Dress 60%")
    expect(figures.first).to_contain_text("Judged: Dress")
    expect(figures.first.locator(".right")).to_have_text("Dress 60%")
    expect(figures.nth(2)).to_contain_text("Judged: unclear")
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    expect(page.get_by_role("row", name=HOSTILE)).to_be_visible()
