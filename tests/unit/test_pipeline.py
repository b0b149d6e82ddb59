from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from lookbook.errors import Gone, InvalidImage
from lookbook.model.inference import Classifier
from lookbook.pipeline import Pipeline, Upload
from lookbook.settings import Settings
from lookbook.store import Page, Query, Store
from lookbook.telemetry.tracing import NoSpans

from tests.support.places import BAG
from tests.support.running import until

UPLOAD = Upload(BAG.read_bytes(), "bag.png")


@pytest.fixture
def pipeline(store: Store, classifier: Classifier) -> Pipeline:
    return Pipeline(Settings(), classifier, store, NoSpans())


def test_what_is_returned_is_stored(pipeline: Pipeline, store: Store) -> None:
    prediction, replayed = pipeline.predict(UPLOAD, None)
    assert (prediction.label, prediction.file_name, replayed) == ("Bag", "bag.png", False)
    assert store.get(prediction.id) == prediction
    assert store.thumbnail(prediction.id)


def test_requests_with_one_key_at_once_store_one_prediction(pipeline: Pipeline, store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: pipeline.predict(UPLOAD, "one"), range(4)))
    assert sorted(replayed for _, replayed in found) == [False, True, True, True]
    assert store.page(Query(10)).items == (found[0][0],)


def test_an_invalid_image_does_not_use_up_its_key(pipeline: Pipeline) -> None:
    with pytest.raises(InvalidImage):
        pipeline.predict(Upload(UPLOAD.data[:200], "bag.png"), "one")
    assert pipeline.predict(UPLOAD, "one")[1] is False


def test_a_key_does_not_bring_back_a_deleted_prediction(pipeline: Pipeline, store: Store) -> None:
    prediction, _ = pipeline.predict(UPLOAD, "one")
    store.delete(prediction.id)
    for _ in range(2):
        with pytest.raises(Gone, match="was deleted"):
            pipeline.predict(UPLOAD, "one")
    assert store.page(Query(10)) == Page((), None)
    assert pipeline.predict(UPLOAD, "two")[1] is False


def test_a_key_does_not_bring_back_an_expired_prediction(
    open_store: Callable[..., Store], classifier: Classifier
) -> None:
    store = open_store(retention=2)
    pipeline = Pipeline(Settings(retention=2), classifier, store, NoSpans())
    prediction, _ = pipeline.predict(UPLOAD, "one")
    until(lambda: store.get(prediction.id) is None)
    with pytest.raises(Gone, match="has expired"):
        pipeline.predict(UPLOAD, "one")
    assert store.page(Query(10)) == Page((), None)
