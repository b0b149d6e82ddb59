from dataclasses import replace
from typing import Any

import pytest
from cassandra.cluster import Session
from lookbook.errors import SettingsError, StoreUnavailable
from lookbook.settings import Settings
from lookbook.store.cassandra.schema import apply_schema, compaction_options

from tests.support.commands import lookbook

pytestmark = pytest.mark.cassandra


def tables(session: Session, keyspace: str) -> dict[str, tuple[object, dict[str, str]]]:
    rows = session.execute(
        "SELECT table_name, id, compaction FROM system_schema.tables WHERE keyspace_name = %s", (keyspace,)
    )
    return {name: (id, dict(options)) for name, id, options in rows}


def environment(settings: Settings) -> dict[str, Any]:
    names = ("cassandra_port", "cassandra_username", "cassandra_password", "cassandra_keyspace")
    return {f"LOOKBOOK_{name.upper()}": getattr(settings, name) for name in names}


def test_a_second_run_changes_nothing(cassandra: Settings, cassandra_session: Session) -> None:
    before = tables(cassandra_session, cassandra.cassandra_keyspace)
    apply_schema(cassandra_session, cassandra)
    assert tables(cassandra_session, cassandra.cassandra_keyspace) == before
    ours = {"predictions", "buckets", "thumbnails", "idempotency_keys", "samples", "sample_days", "inputs", "frames"}
    ours |= {"judgments", "sampled_judgments", "review_claims", "comparisons", "flips", "drift_references", "jobs"}
    assert set(before) == ours


def test_a_new_retention_changes_the_compaction(cassandra: Settings, cassandra_session: Session) -> None:
    keyspace = cassandra.cassandra_keyspace
    month = 30 * 24 * 60 * 60
    apply_schema(cassandra_session, replace(cassandra, retention=month))
    windowed = tables(cassandra_session, keyspace)["predictions"][1]
    assert windowed["class"].endswith("TimeWindowCompactionStrategy")
    assert (windowed["compaction_window_size"], windowed["compaction_window_unit"]) == ("1440", "MINUTES")
    apply_schema(cassandra_session, cassandra)
    assert tables(cassandra_session, keyspace)["predictions"][1]["class"].endswith("UnifiedCompactionStrategy")


def test_a_retention_beyond_2038_is_refused(cassandra: Settings, cassandra_session: Session) -> None:
    before = tables(cassandra_session, cassandra.cassandra_keyspace)
    with pytest.raises(SettingsError, match=r"LOOKBOOK_RETENTION=630000000: .*2038-01-19"):
        apply_schema(cassandra_session, replace(cassandra, retention=630_000_000))
    assert tables(cassandra_session, cassandra.cassandra_keyspace) == before


def test_a_column_of_a_later_version_is_kept(cassandra: Settings, cassandra_session: Session) -> None:
    table = f"{cassandra.cassandra_keyspace}.predictions"
    cassandra_session.execute(f"ALTER TABLE {table} ADD added_later text", timeout=30)
    apply_schema(cassandra_session, cassandra)
    assert cassandra_session.execute(f"SELECT added_later FROM {table}").all() == []
    cassandra_session.execute(f"ALTER TABLE {table} DROP added_later", timeout=30)


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_the_command_reports_success(cassandra: Settings, options: tuple[str, ...]) -> None:
    result = lookbook("schema", *options, **environment(cassandra))
    assert result.stdout == f"schema: keyspace {cassandra.cassandra_keyspace} is up to date\n", result.stderr
    assert result.returncode == 0


@pytest.mark.usefixtures("cassandra")
def test_check_refuses_another_retention_in_one_line(cassandra: Settings) -> None:
    result = lookbook("schema", "--check", **environment(cassandra), LOOKBOOK_RETENTION=86400)
    assert result.returncode == SettingsError.exit_code
    assert result.stderr == (
        f"lookbook: LOOKBOOK_RETENTION=86400: the tables of keyspace {cassandra.cassandra_keyspace} were created with "
        "a different retention; set the same one in all releases that share the keyspace\n"
    )


def test_check_waits_for_the_tables_and_creates_none(cassandra: Settings, cassandra_session: Session) -> None:
    settings = replace(cassandra, cassandra_keyspace="nowhere")
    result = lookbook("schema", "--check", "--wait=1", **environment(settings))
    assert result.returncode == StoreUnavailable.exit_code
    assert "keyspace nowhere has no table buckets, comparisons, drift_references, flips, " in (result.stderr)
    assert tables(cassandra_session, "nowhere") == {}


def test_a_window_is_a_thirtieth_of_the_retention_and_at_least_a_minute() -> None:
    assert compaction_options(0) == {"class": "UnifiedCompactionStrategy"}
    assert compaction_options(60)["compaction_window_size"] == "1"
    assert compaction_options(3_000 * 60)["compaction_window_size"] == "100"


def test_an_invalid_keyspace_name_is_refused(cassandra: Settings, cassandra_session: Session) -> None:
    with pytest.raises(SettingsError, match="LOOKBOOK_CASSANDRA_KEYSPACE=x; DROP KEYSPACE y: must be"):
        apply_schema(cassandra_session, replace(cassandra, cassandra_keyspace="x; DROP KEYSPACE y"))
