from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lookbook.prediction import id_maker
from lookbook.server.drift_watch import DriftWatch
from lookbook.settings import Settings
from lookbook.store import Store
from lookbook.store.cassandra import CassandraStore
from lookbook.store.sqlite import SqliteStore
from lookbook.telemetry import metrics
from lookbook.truth.drift import ALARM

from tests.support.places import ROOT
from tests.support.running import free_port
from tests.support.truths import sampled

MODEL = ("model", "1.2.3")
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Store]:
    store = SqliteStore(str(tmp_path / "store.sqlite"), lambda _: None)
    yield store
    store.close()


def value(gauge: Any) -> float:
    found: float = gauge.labels(*MODEL)._value.get()
    return found


def test_the_metrics_say_what_the_days_show(sqlite: Store) -> None:
    watch = DriftWatch(sqlite, MODEL)
    watch.check()
    assert value(metrics.drift_status) == 0
    for days_ago in range(2, 18):
        sqlite.put_all(sampled(NOON - timedelta(days=days_ago), 100))
    watch.check()
    assert value(metrics.drift_status) == 1
    assert value(metrics.estimated_accuracy) == pytest.approx(0.75)
    assert 0 < value(metrics.drift_evidence) < ALARM
    sqlite.put_drift_reference(*MODEL, id_maker()(), "ana")
    watch.check()
    assert value(metrics.drift_status) == 0


def test_the_descriptions_name_the_threshold() -> None:
    assert f"drift is reported at {ALARM:,.0f}" in metrics.drift_evidence._documentation
    openapi = (ROOT / "service/lookbook/http/openapi/openapi.json").read_text()
    assert f"There is an alarm at {ALARM:,.0f} " in openapi


def test_drift_is_not_measured_while_the_store_is_unavailable() -> None:
    settings = Settings(store="cassandra", cassandra_port=free_port())
    store = CassandraStore(settings, lambda _: None)
    DriftWatch(store, MODEL).check()
    store.close()
