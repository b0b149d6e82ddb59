"""The quality view: what is known, what is not, and its address."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Locator, Page, expect

from tests.support.running import Service
from tests.support.weeks import fill_weeks, judge_in_order

Visit = Callable[..., Page]
Weeks = Callable[..., tuple[Service, dict[str, str]]]


@pytest.fixture
def weeks(serve: Callable[..., Service], tmp_path: Path) -> Weeks:
    """A service with weeks of predictions, and what their images show."""

    def fill(**options: Any) -> tuple[Service, dict[str, str]]:
        truths = fill_weeks(tmp_path / "serve.sqlite", **options)
        return serve().ready(), truths

    return fill


def panel(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def percent(share: float) -> str:
    return f"{share:.1%}"


def test_no_number_is_shown_that_is_not_known(weeks: Weeks, visit: Visit) -> None:
    service, truths = weeks(days=3, per_day=20)
    page = visit(f"{service.url}/#quality")
    accuracy = panel(page, "Accuracy")
    expect(accuracy).to_contain_text("Not known yet")
    expect(accuracy).to_contain_text("5 more judgments in the order of review are needed")
    expect(accuracy).to_contain_text("0 judgments, for about 60 predictions on 3 days.")
    signal = requests.get(f"{service.url}/v1/evaluations").json()["estimated_accuracy"]
    expect(accuracy).to_contain_text(f"Signal: {percent(signal)} would be right if the scores were exact.")
    assert re.findall(r"[\d.]+%", page.locator(".panels").inner_text()) == [percent(signal)]
    for absent in ("Labels", "Confusion matrix", "Calibration"):
        expect(panel(page, absent)).to_have_count(0)
    judge_in_order(service.url, truths, 3)
    page.reload()
    expect(accuracy).to_contain_text(re.compile(r"\d more judgments? in the order of review"))
    assert "95% interval" not in accuracy.inner_text()
    expect(panel(page, "Calibration")).to_have_text("CalibrationNot known yet: this takes at least 5 clear judgments.")


def test_an_empty_service_says_so(service: Service, visit: Visit) -> None:
    page = visit(f"{service.url}/#quality")
    expect(panel(page, "Accuracy")).to_contain_text("No predictions of this version were sampled in this period.")
    expect(panel(page, "Drift")).to_contain_text("0 of 14 chunks are complete.")


def test_what_the_judgments_say_is_shown(weeks: Weeks, visit: Visit) -> None:
    service, truths = weeks(days=3, per_day=40)
    # All of them: which ones come first depends on their IDs, and a label needs five judgments.
    judge_in_order(service.url, truths, len(truths))
    page = visit(f"{service.url}/#quality")
    known = requests.get(f"{service.url}/v1/evaluations").json()
    low, high = known["accuracy"]["confidence_interval"]
    accuracy = panel(page, "Accuracy")
    expect(accuracy).to_contain_text(
        f"{percent(known['accuracy']['estimate'])}95% interval: {percent(low)} to {percent(high)}"
    )
    expect(accuracy).to_contain_text(f"From {known['judged']} judgments, for about 120 predictions on 3 days")
    coat = panel(page, "Labels").get_by_role("row", name="Coat")
    for share in (known["precision"]["Coat"], known["recall"]["Coat"]):
        low, high = share["confidence_interval"]
        expect(coat).to_contain_text(
            f"{percent(share['estimate'])}{percent(low)} to {percent(high)}, {share['n']} judged"
        )
    matrix = panel(page, "Confusion matrix")
    labels, counts = known["confusion_matrix"]["labels"], known["confusion_matrix"]["counts"]
    place = labels.index("Coat")
    expect(matrix.get_by_role("img")).to_contain_text(str(counts[place][place]))
    matrix.get_by_text("Show as a table").click()
    rows = {tuple(row.split("\t")) for row in matrix.get_by_role("row").all_inner_texts()[1:]}
    cells = ((shown, said) for shown in range(len(labels)) for said in range(len(labels)))
    assert rows == {
        (labels[row], labels[column], str(counts[row][column])) for row, column in cells if counts[row][column]
    }
    calibration = panel(page, "Calibration")
    calibration.get_by_text("Show as a table").click()
    expect(calibration.get_by_role("row")).to_have_count(len(known["calibration_curve"]) + 1)
    expect(calibration).to_contain_text(f"{known['brier_score']:.3f}")
    days = panel(page, "Predictions and judgments")
    days.get_by_text("Show as a table").last.click()
    judged = [int(row.split("\t")[1]) for row in days.get_by_role("row").all_inner_texts()[-28:]]
    assert judged[:3] == [entry["judged"] for entry in reversed(known["daily"])]


def test_the_window_is_in_the_address(weeks: Weeks, visit: Visit) -> None:
    service, _ = weeks(days=3, per_day=20)
    page = visit(service.url, ("status of 400",))
    page.get_by_role("link", name="Quality").click()
    expect(page).to_have_title("Quality · Lookbook")
    expect(panel(page, "Accuracy")).to_contain_text("about 60 predictions")
    first = page.get_by_label("From", exact=True)
    last = page.get_by_label("To", exact=True)
    first.fill(last.input_value())
    expect(panel(page, "Accuracy")).to_contain_text("about 20 predictions")
    expect(page).to_have_url(
        re.compile(rf"#quality\?model_version=fashion-mnist-mlp%2F2\.2\.0&since={last.input_value()}&until=")
    )
    page.reload()
    expect(panel(page, "Accuracy")).to_contain_text("about 20 predictions")
    page.go_back()
    expect(panel(page, "Accuracy")).to_contain_text("about 60 predictions")
    page.go_back()
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    page.goto(f"{service.url}/#quality?since=2026-13-99")
    expect(page.locator("[data-view=quality] .status")).to_contain_text("Cannot load the evaluation.")


def test_an_alarm_is_acknowledged(weeks: Weeks, visit: Visit) -> None:
    service, _ = weeks(days=23, per_day=100, change=6)
    page = visit(f"{service.url}/#quality")
    drift = panel(page, "Drift")
    expect(drift).to_contain_text("Changed since ")
    expect(drift).to_contain_text("What to do: look at recent images in the history, and review some.")
    known = requests.get(f"{service.url}/v1/drift").json()
    expect(drift).to_contain_text(percent(known["total_variation"]))
    drift.get_by_text("The change is expected").click()
    drift.get_by_role("button", name="Start a new reference").click()
    expect(drift).to_contain_text("chunks are complete. A chunk is one or more whole days")
    assert requests.get(f"{service.url}/v1/drift").json()["reference"]["started_at"]
