"""What happens to records while their sink or store does not answer: what stalls, and what is counted."""

import socket
from collections import Counter

import pytest
import requests
from cassandra.cluster import Session
from lookbook.settings import Settings

from benchmarks.peers import recorders, report
from benchmarks.peers.gate import Gate
from benchmarks.peers.recorders import Recorder
from benchmarks.peers.sink import sink
from benchmarks.peers.stall import Fault, Outcome, compare, failure
from benchmarks.peers.vegeta import Answer
from tests.support.running import until

TIMEOUT = 30
RESPONSE = "org.kubeflow.serving.inference.response"


def event(id: str, kind: str = RESPONSE) -> bytes:
    return f"POST / HTTP/1.1\r\nHost: sink\r\nCe-Id: {id}\r\nCe-Type: {kind}\r\nContent-Length: 2\r\n\r\n{{}}".encode()


def test_the_sink_counts_responses_by_the_id_of_their_request() -> None:
    with sink() as receiver, socket.create_connection(("127.0.0.1", receiver.server_port), TIMEOUT) as client:
        for message in (event("1", "org.kubeflow.serving.inference.request"), event("2")):
            client.sendall(message)
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert receiver.ids == {"2"}


def test_what_arrives_at_a_stalled_gate_is_passed_on_later() -> None:
    with sink() as receiver, Gate("127.0.0.1", receiver.server_port) as gate:
        with gate.stalled():
            client = socket.create_connection(("127.0.0.1", gate.port), 0.2)
            client.sendall(event("1"))
            with pytest.raises(TimeoutError):
                client.recv(1000)
            assert not receiver.ids
        with client:
            client.settimeout(TIMEOUT)
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert receiver.ids == {"1"}


def test_a_gate_that_refuses_connections_closes_those_that_it_has() -> None:
    with sink() as receiver, Gate("127.0.0.1", receiver.server_port) as gate:
        address = ("127.0.0.1", gate.port)
        with socket.create_connection(address, TIMEOUT) as client:
            client.sendall(event("1"))
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
            with gate.refusing():
                assert client.recv(1000) == b""
                with pytest.raises(ConnectionError):
                    socket.create_connection(address, TIMEOUT)
        with socket.create_connection(address, TIMEOUT) as client:
            client.sendall(event("2"))
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_prediction_is_refused_and_not_recorded_while_sqlite_is_locked() -> None:
    with recorders.sqlite() as recorder:
        check(recorder)


@pytest.mark.cassandra
def test_a_prediction_is_refused_while_cassandra_does_not_answer(
    cassandra: Settings, cassandra_session: Session
) -> None:
    with recorders.in_keyspace(cassandra, cassandra_session) as recorder:
        check(recorder)


def check(recorder: Recorder) -> None:
    """What is accepted is recorded; while the store stalls, nothing is accepted; afterward, it is again."""
    before = post(recorder)
    with recorder.stalled():
        refused = post(recorder)
    assert (before.status, failure(refused)) == (201, "503 store_unavailable")
    until(lambda: post(recorder).ok)
    answers = [before, refused]
    accepted, lost, _ = compare(answers, recorder.record, recorder.records())
    assert (accepted, lost) == (1, 0)


def post(recorder: Recorder) -> Answer:
    body, headers = recorder.running.body, {"Content-Type": recorder.running.body.content_type}
    url = f"{recorder.running.url}{body.path}?number=1"
    response = requests.post(url, body.file.read_bytes(), headers=headers, timeout=TIMEOUT)
    return Answer(1, response.status_code, response.content)


def test_records_are_compared_with_the_requests_that_were_accepted() -> None:
    answers = [Answer(number, status, b"") for number, status in enumerate((200, 201, 503, 0))]
    assert compare(answers, lambda answer: str(answer.number), {"1", "2", "3"}) == (2, 1, 2)


@pytest.mark.parametrize(
    ("status", "content", "name"),
    [
        (503, b'{"error": {"code": "overloaded"}}', "503 overloaded"),
        (502, b"Bad Gateway", "502"),
        (500, b'{"error": "failed"}', "500"),
        (0, b"", "no response"),
    ],
)
def test_failures_have_the_status_and_lookbooks_code(status: int, content: bytes, name: str) -> None:
    assert failure(Answer(1, status, content)) == name


def test_the_table_says_what_happened_to_each_server() -> None:
    failures = Counter({"no response": 2, "503 overloaded": 1000})
    outcome = Outcome(accepted=3000, lost=5, unclaimed=1, failures=failures, memory=100.4, peak=200.5)
    *_, line = report.stalls({("KServe", Fault.STALLED): outcome}, 60)
    assert line == (
        "| KServe | does not answer for 60 s | 3,000 | 5 | 1 | 100 | 200 | 1,000 x 503 overloaded, 2 x no response |"
    )
