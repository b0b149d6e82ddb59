"""`lookbook batch replay`, against `lookbook replay --all` on the same store."""

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from lookbook.cli.main import main
from lookbook.model.bundle import Bundle
from lookbook.model.inference import Classifier
from lookbook.prediction import Prediction, id_maker, permanent_random
from lookbook.settings import Settings
from lookbook.spark import batch as jobs
from lookbook.spark import replay
from lookbook.spark import session as spark_session
from lookbook.spark.replay import Run
from lookbook.spark.session import reason
from lookbook.spark.source import read_source
from lookbook.store import Entry, Input, Store
from lookbook.store.opening import open_store
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from tests.support.commands import lookbook
from tests.support.pages import DOCS, block, checkout
from tests.support.places import BAG, CLOTHES, GOLDEN, MLP, PHOTOS
from tests.support.predictions import made_at
from tests.support.replays import exchange_labels, sample, variants
from tests.support.running import Service, until
from tests.support.truths import judge, today

INPUTS = 110
JUDGED = 6


@pytest.fixture(params=["sqlite", pytest.param("cassandra", marks=pytest.mark.cassandra)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    base = request.getfixturevalue("cassandra") if request.param == "cassandra" else Settings()
    return replace(base, model=str(MLP), sqlite_path=str(tmp_path / "serve.sqlite"))


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with closing(open_store(settings, lambda _: None)) as store:
        until(lambda: store.status().reached)
        yield store


@pytest.fixture
def bags(store: Store, classifier: Classifier) -> list[Prediction]:
    """Inputs in the store, some judged; returns those of bags, in the order of review.

    One is not what the model has seen, some predictions have no input, and some are of another model.
    """
    images = [image for path in GOLDEN for image in variants(path, -(-INPUTS // len(GOLDEN)))]
    made = sample(store, classifier, images, rate=None)
    bags = sorted((one for one in made if one.label == "Bag"), key=lambda one: permanent_random(one.id))
    for bag in (*bags[:JUDGED], bags[-1]):
        judge(store, bag, "Bag")
    top = (("Hat", 0.9), *made[0].top[1:])
    bundle = classifier.bundle
    store.put(
        Entry(Prediction(id_maker()(), "", top, bundle.name, bundle.version), None, None, Input("pixels", images[0]))
    )
    for _ in range(3):
        store.put(Entry(Prediction(id_maker()(), "", top, bundle.name, bundle.version)))
    store.put(Entry(made_at(today()), None, None, Input("pixels", images[0])))
    return bags


@pytest.fixture
def exchanged(altered: Callable[[Callable[[dict[str, Any]], None]], Path]) -> Path:
    return altered(exchange_labels)


@pytest.fixture
def run(session: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `lookbook batch replay` on the shared session."""

    @contextmanager
    def shared(*_: object) -> Iterator[SparkSession]:
        yield session

    monkeypatch.setattr(spark_session, "open_session", shared)
    environment = {f"LOOKBOOK_{name.upper()}": str(value) for name, value in changed(settings).items()}

    def run(*arguments: object) -> Result:
        return CliRunner(env=environment).invoke(main, ["batch", "replay", *map(str, arguments)])

    return run


def changed(settings: Settings) -> dict[str, object]:
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    return {name: value for name, value in values.items() if value != getattr(Settings(), name)}


def test_it_reports_what_a_replay_on_one_machine_reports(
    run: Callable[..., Result],
    serve: Callable[..., Service],
    settings: Settings,
    store: Store,
    bags: list[Prediction],
    exchanged: Path,
    tmp_path: Path,
) -> None:
    ended = run(exchanged, "--json", "--html", tmp_path / "report.html")
    assert ended.exit_code == 3, ended.output
    found = json.loads(ended.stdout)
    server = serve(**changed(settings)).ready()
    plain = lookbook("replay", exchanged, "--all", "--json", "--no-store", "--url", server.url)
    assert plain.returncode == 3, plain.stderr
    assert found | {"comparison": None} == json.loads(plain.stdout)
    assert (found["judged"], found["without_input"], found["unfaithful"]) == (JUDGED, 3, 1)
    (comparison,) = store.comparisons("fashion-mnist-mlp/2.2.0", "fashion-mnist-mlp/3.0.0", 5)
    assert (str(comparison.id), json.loads(comparison.report)["worse"]) == (found["comparison"], True)
    assert [flip.prediction for flip in store.flips(comparison.id, 100)] == [bag.id for bag in bags]
    page = (tmp_path / "report.html").read_text()
    assert page.count('src="data:image/webp;base64,UklGR') == page.count("<figure>") == len(bags)
    assert page.count("Judged: Bag") == JUDGED + 1


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_the_command_of_the_guide(
    run: Callable[..., Result],
    store: Store,
    clothes: Classifier,
    bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos = [path.read_bytes() for path in sorted(PHOTOS.glob("*.jpg"))]
    sample(store, clothes, photos, kind="original")
    monkeypatch.chdir(checkout(tmp_path / "checkout"))
    arguments = shlex.split(block(DOCS / "how-to/batch.md", "sh replay"))
    assert arguments[:3] == [".venv/bin/lookbook", "batch", "replay"]
    ended = run(*arguments[3:], "--baseline-bundle", CLOTHES)
    assert ended.exit_code == 0, ended.output
    assert f"candidate    {bundle.full_name}\npredictions  {len(photos)}, " in ended.stdout
    assert "review       on a server with this store: /#review?compare=" in ended.stdout
    assert Path("report.html").exists()


@pytest.mark.usefixtures("bags")
@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_models_that_cannot_be_compared(run: Callable[..., Result], exchanged: Path) -> None:
    for arguments, message in (
        (
            (MLP, "--until", "2026-01-31"),
            "2.2.0 from 2026-01-04 to 2026-01-31 (predictions without an input: 0); check",
        ),
        ((MLP.parent / "none",), "no bundle in"),
    ):
        ended = run(*arguments)
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert message in ended.stderr
    assert run(MLP, "--since", "2026-01-31", "--until", "2026-01-30").exit_code == 2
    manifest = json.loads((exchanged / "model.json").read_text())
    (exchanged / "model.json").write_text(json.dumps(manifest | {"version": "2.2.0"}))
    ended = run(MLP, "--baseline-bundle", exchanged, "--no-store")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "stored inputs, the baseline does not repeat its stored prediction" in ended.stderr


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_the_images_of_a_job_are_read_again(
    run: Callable[..., Result],
    session: SparkSession,
    settings: Settings,
    bundle: Bundle,
    exchanged: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(variants(BAG, 4)):
        (folder / f"{number}.png").write_bytes(image)
    classify = jobs.Run(session, replace(settings, keep="none"), bundle, MLP, None)
    classify.store(read_source(session, str(folder)), 4, "spring", None, lambda _: None)
    (folder / "0.png").unlink()
    (folder / "1.png").write_text("changed")
    (folder / "new.png").write_bytes(BAG.read_bytes())
    ended = run(exchanged, "--job", "spring", "--source", folder, "--json", "--html", tmp_path / "report.html")
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert (found["pairs"], found["flips_to_judge"], found["without_input"]) == (2, 2, 1)
    assert (tmp_path / "report.html").read_text().count('src="data:image/webp;base64,UklGR') == 2
    for arguments, message in (
        (("--job", "fall", "--source", folder), "there is no job fall in the store"),
        (("--job", "spring", "--source", GOLDEN[0]), "none of these images has a prediction of job spring"),
        (("--job", "spring", "--source", folder, "--baseline-bundle", exchanged), "job spring has used another bundle"),
    ):
        ended = run(MLP, *arguments)
        assert (ended.exit_code, message in ended.stderr) == (1, True), ended.stderr
    assert run(MLP, "--job", "spring").exit_code == 2


@pytest.mark.usefixtures("bags")
@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_the_store_is_scanned_once(
    session: SparkSession,
    settings: Settings,
    store: Store,
    bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = tmp_path / "scans"
    monkeypatch.setattr(replay, "_scan", partial(logged, str(log), replay._scan))
    totals: list[int] = []

    def show(total: int) -> nullcontext[jobs.Progress]:
        totals.append(total)
        return nullcontext(lambda _: None)

    comparison = Run(session, settings, store, bundle, bundle).kept_inputs(0, 40_000, show)
    assert totals == [comparison.inputs + comparison.without_input]
    scans = Counter(log.read_text().splitlines())
    assert set(scans.values()) == {1}
    assert session.sparkContext._jsc.getPersistentRDDs().isEmpty()


def logged(log: str, scan: Callable[..., Iterator[Any]], *arguments: Any) -> Iterator[Any]:
    """The same scan, which a worker records in a file."""
    with open(log, "a") as file:
        file.write(f"{arguments[-1]}\n")
    yield from scan(*arguments)


@pytest.mark.usefixtures("bags")
@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_bundle_that_differs_between_machines_is_named(
    session: SparkSession, settings: Settings, store: Store, bundle: Bundle
) -> None:
    other = Run(session, settings, store, bundle, replace(bundle, digest="other"))
    with pytest.raises(PySparkException) as raised:
        other.kept_inputs(0, 40_000, lambda _: nullcontext(lambda _: None))
    assert reason(raised.value).endswith("copy the same bundle to every machine")
