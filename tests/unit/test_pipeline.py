import hashlib
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from lookbook.errors import Gone, InvalidImage
from lookbook.model.inference import Classifier
from lookbook.model.inputs import MAX_ORIGINAL_BYTES
from lookbook.model.preprocessing import preprocess
from lookbook.pipeline import Pipeline, Upload
from lookbook.prediction import Prediction, id_maker, permanent_random
from lookbook.replay.inputs import StoredInput
from lookbook.settings import Settings
from lookbook.store import Input, Page, Query, Sample, Store
from lookbook.telemetry.tracing import NoSpans
from lookbook.truth.sampling import SAMPLE_SIZE
from PIL import Image

from tests.support.places import BAG
from tests.support.running import until
from tests.support.truths import day_of

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


@pytest.fixture
def make_pipeline(store: Store, classifier: Classifier) -> Callable[..., Pipeline]:
    return lambda **options: Pipeline(Settings(**options), classifier, store, NoSpans())


def sampled(store: Store, prediction: Prediction) -> list[Sample]:
    return store.samples(day_of(prediction), 1000)


def test_the_first_predictions_of_a_worker_are_all_sampled(pipeline: Pipeline, store: Store) -> None:
    predictions = [pipeline.predict(UPLOAD, None)[0] for _ in range(SAMPLE_SIZE)]
    samples = sampled(store, predictions[0])
    assert {sample.id for sample in samples} == {prediction.id for prediction in predictions}
    assert {sample.rate for sample in samples} == {1}
    assert samples[0].top == predictions[0].top


def test_later_ones_are_sampled_with_the_rate_that_is_stored(pipeline: Pipeline, store: Store) -> None:
    predictions = [pipeline.predict(UPLOAD, None)[0] for _ in range(60)]
    samples = {sample.id: sample for sample in sampled(store, predictions[0])}
    rates = {prediction.id: min(1, SAMPLE_SIZE / number) for number, prediction in enumerate(predictions, 1)}
    assert {id: sample.rate for id, sample in samples.items()} == {
        id: rate for id, rate in rates.items() if permanent_random(id) < rate
    }
    assert [store.input(id) is not None for id in rates] == [id in samples for id in rates]


def test_what_the_model_saw_is_kept(pipeline: Pipeline, store: Store, classifier: Classifier) -> None:
    prediction, _ = pipeline.predict(UPLOAD, None)
    kept = store.input(prediction.id)
    assert kept
    assert kept.kind == "pixels"
    again = preprocess(kept.content, classifier.bundle.input, 25_000_000)
    assert classifier.top(classifier.classify(again)) == prediction.top


def test_images_are_not_kept_if_they_need_not_be(make_pipeline: Callable[..., Pipeline], store: Store) -> None:
    prediction, _ = make_pipeline(keep="none", keep_for="all").predict(UPLOAD, None)
    assert store.input(prediction.id) is None
    assert [sample.id for sample in sampled(store, prediction)] == [prediction.id]


def test_the_uploaded_file_can_be_kept(make_pipeline: Callable[..., Pipeline], store: Store) -> None:
    prediction, _ = make_pipeline(keep="original").predict(UPLOAD, None)
    assert store.input(prediction.id) == Input("original", UPLOAD.data)


def test_a_large_file_is_kept_as_the_model_saw_it(make_pipeline: Callable[..., Pipeline], store: Store) -> None:
    large = UPLOAD.data + bytes(MAX_ORIGINAL_BYTES)  # decoders ignore what follows the image
    prediction, _ = make_pipeline(keep="original").predict(Upload(large, ""), None)
    kept = store.input(prediction.id)
    assert kept
    assert kept.kind == "pixels"


def test_all_images_can_be_kept(make_pipeline: Callable[..., Pipeline], store: Store) -> None:
    pipeline = make_pipeline(keep_for="all")
    predictions = [pipeline.predict(UPLOAD, None)[0] for _ in range(3 * SAMPLE_SIZE)]
    assert len(sampled(store, predictions[0])) < len(predictions)
    assert all(store.input(prediction.id) for prediction in predictions)


def test_a_batch_is_sampled(pipeline: Pipeline, store: Store, classifier: Classifier) -> None:
    array = preprocess(UPLOAD.data, classifier.bundle.input, 25_000_000)[0]
    pixels = np.asarray(Image.open(BAG))[:, :, np.newaxis]
    found = pipeline.predict_all([UPLOAD.data, pixels, array])
    inputs = [store.input(prediction.id) for prediction, _ in found]
    assert [kept and kept.kind for kept in inputs] == ["pixels", "pixels", "tensor"]
    assert inputs[0] == inputs[1]
    assert inputs[2]
    assert np.array_equal(np.load(io.BytesIO(inputs[2].content)), array)
    assert len(sampled(store, found[0][0])) == 3


def test_what_a_model_of_pixels_saw_of_numbers_is_kept(store: Store, colors: Classifier) -> None:
    numbers = np.random.default_rng(1).uniform(-1.1, 1.1, (8, 8, 3)).astype(np.float32)
    ((prediction, scores),) = Pipeline(Settings(), colors, store, NoSpans()).predict_all([numbers])
    kept = store.input(prediction.id)
    assert kept
    assert kept.kind == "pixels"
    again = StoredInput(kept, colors.bundle.input, 25_000_000).array(colors.bundle.input)
    assert np.array_equal(colors.classify(again), scores)


def test_a_repeated_request_is_sampled_once(pipeline: Pipeline, store: Store) -> None:
    prediction, _ = pipeline.predict(UPLOAD, "one")
    assert pipeline.predict(UPLOAD, "one") == (prediction, True)
    assert [sample.id for sample in sampled(store, prediction)] == [prediction.id]


def test_a_request_that_was_killed_halfway_is_sampled_under_its_id(pipeline: Pipeline, store: Store) -> None:
    id = id_maker()()
    store.claim("one", hashlib.sha256(UPLOAD.data).digest(), id)
    prediction, repeated = pipeline.predict(UPLOAD, "one")
    assert (prediction.id, repeated) == (id, False)
    assert [sample.id for sample in sampled(store, prediction)] == [id]
    assert store.input(id)
