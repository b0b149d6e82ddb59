import pytest
from lookbook.errors import SettingsError
from lookbook.settings import Settings


def test_unset_settings_have_their_defaults() -> None:
    assert Settings.from_environment({"PATH": "/bin"}) == Settings()


def test_the_variables_of_a_client_are_accepted() -> None:
    assert Settings.from_environment({"LOOKBOOK_URL": "http://127.0.0.1", "LOOKBOOK_TOKEN": "secret"}) == Settings()


def test_each_type_is_parsed() -> None:
    settings = Settings.from_environment(
        {"LOOKBOOK_STORE": "cassandra", "LOOKBOOK_WORKERS": "3", "LOOKBOOK_THUMBNAILS": "False"}
    )
    assert (settings.store, settings.workers, settings.thumbnails) == ("cassandra", 3, False)


@pytest.mark.parametrize("address", ["0.0.0.0:80", "[::]:65535", "localhost:0", ":8080"])
def test_an_address_is_accepted(address: str) -> None:
    assert Settings.from_environment({"LOOKBOOK_BIND": address}).bind == address


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LOOKBOOK_STORE", "mysql", "must be sqlite or cassandra"),
        ("LOOKBOOK_WORKERS", "-1", "must be a whole number from 0 to"),
        ("LOOKBOOK_MAX_REQUESTS", "0", "must be a whole number from 1 to"),
        ("LOOKBOOK_MAX_BYTES", "8 MB", "must be a whole number"),
        ("LOOKBOOK_SHARDS", "257", "from 1 to 256"),
        ("LOOKBOOK_THUMBNAILS", "yes", "must be true or false"),
        ("LOOKBOOK_WORKER", "2", "is not a setting"),
        ("LOOKBOOK_PORT", "8080", "is not a setting"),
        ("LOOKBOOK_PORT", "tcp://10.0.0.1:80", "enableServiceLinks: false"),
        ("LOOKBOOK_PORT_80_TCP", "tcp://10.0.0.1:80", "enableServiceLinks: false"),
        ("LOOKBOOK_PORT_80_TCP_ADDR", "10.0.0.1", "enableServiceLinks: false"),
        ("LOOKBOOK_SERVICE_HOST", "10.0.0.1", "enableServiceLinks: false"),
        ("LOOKBOOK_SERVICE_PORT_HTTP", "80", "enableServiceLinks: false"),
        ("LOOKBOOK_CASSANDRA_PORT", "tcp://10.0.0.1:9042", "enableServiceLinks: false"),
        ("LOOKBOOK_CASSANDRA_PORT", "9042x", "must be a whole number"),
        ("LOOKBOOK_OTLP_ENDPOINT", "collector:4317", "must be a URL"),
        ("LOOKBOOK_BIND", "nonsense", "must be <address>:<port>"),
        ("LOOKBOOK_BIND", "127.0.0.1:99999", "must have a port of at most 65535"),
        ("LOOKBOOK_BIND", "8080", "must be <address>:<port>"),
        ("LOOKBOOK_BIND", "::1:8080", "must be <address>:<port>"),
        ("LOOKBOOK_BIND", "", "must not be empty"),
        ("LOOKBOOK_MODEL", "", "must not be empty; unset it to use models/"),
        ("LOOKBOOK_CASSANDRA_CONTACT_POINTS", " ", "must not be empty"),
        ("LOOKBOOK_SQLITE_PATH", "", "must not be empty; unset it to use lookbook.sqlite"),
        ("LOOKBOOK_SQLITE_PATH", ":memory:", "must be the path of a file"),
    ],
)
def test_a_bad_value_is_reported_with_its_name(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}.*{message}"):
        Settings.from_environment({name: value})
