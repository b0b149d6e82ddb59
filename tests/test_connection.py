import pytest

from service.settings import Settings
from service.store.connection import Connection, open_cluster
from tests.running import until


@pytest.mark.cassandra
def test_an_error_that_the_driver_has_no_name_for_is_a_reason_too(cassandra: Settings) -> None:
    connection = Connection(lambda: open_cluster(cassandra), {"probe": "SELEKT 1"}, lambda _: None)
    until(lambda: "SELEKT" in str(connection.state()), 10)
    assert not connection.reached()
    connection.close()
