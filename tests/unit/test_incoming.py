from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from lookbook.errors import Busy
from lookbook.server.buffer import Buffer
from lookbook.server.incoming import IncomingBody

POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def body(head: bytes, *pieces: bytes, limit: int = 1000) -> IncomingBody:
    found = IncomingBody(head, limit)
    for piece in pieces:
        assert not found.complete
        found.add(piece)
    return found


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (b"GET / HTTP/1.1\r\nContent-Length: 10\r\n\r\n", 0),
        (POST + b"\r\n", 0),
        (POST + b"Content-Length: 0\r\n\r\n", 0),
        (POST + b"Content-Length: 10\r\n\r\n0123456789", 0),
        (POST + b"Content-Length: 10\r\n\r\n0123456789GET / HTTP/1.1\r\n\r\n", 0),
        (POST + b"Content-Length: 10\r\n\r\n0123", 6),
        (POST + b"content-length:10  \r\n\r\n", 10),
        (POST + b"X: \r\nContent-Length: 10\r\nY: z\r\n\r\n", 10),
        (POST + b"Content-Length: 1001\r\n\r\n", 0),
    ],
)
def test_a_length_says_how_much_is_missing(head: bytes, wanted: int) -> None:
    found = body(head)
    assert found.complete == (wanted == 0)
    assert found.complete or found.wanted == wanted


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: -1",
        b"Content-Length: +1",
        b"Content-Length: 1, 1",
        b"Content-Length: " + b"9" * 5000,
        b"Content-Length: \xc2\xb2",
        b"Content-Length: 10\r\nContent-Length: 10",
        b"Content-Length: 10\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip",
    ],
)
def test_what_the_parser_refuses_is_not_waited_for(framing: bytes) -> None:
    assert body(POST + framing + b"\r\n\r\n").complete


def test_the_pieces_of_a_body_are_kept_in_order() -> None:
    found = body(POST + b"Content-Length: 10\r\n\r\n01", b"234", b"56789")
    assert found.complete
    assert (found.buffer.take(2), found.buffer.take(9), found.buffer.take(9)) == (b"23", b"4", b"56789")
    assert not found.buffer


def test_a_client_may_stop_halfway() -> None:
    found = body(POST + b"Content-Length: 10\r\n\r\n", b"01", b"")
    assert (found.complete, found.ended) == (True, True)


def test_a_body_that_is_given_up_takes_no_memory() -> None:
    found = body(POST + b"Content-Length: 10\r\n\r\n", b"01")
    found.fail(Busy("no room"))
    assert (found.held, bool(found.buffer), found.complete) == (0, False, False)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (POST + b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n", True),
        (POST + b"expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (POST + b"Expect: something\r\nContent-Length: 10\r\n\r\n", False),
        (b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n", False),
        (POST + b"Content-Length: 10\r\n\r\n", False),
    ],
)
def test_a_client_may_wait_for_its_turn(head: bytes, expected: bool) -> None:
    found = body(head)
    assert found.expects_continue == expected
    assert not found.complete


def chunked(payloads: list[bytes], extension: bytes, trailers: bytes) -> bytes:
    chunks = [b"%x%b\r\n%b\r\n" % (len(payload), extension, payload) for payload in payloads]
    return b"".join(chunks) + b"0\r\n" + trailers + b"\r\n"


@settings(deadline=None)
@given(
    payloads=some.lists(some.binary(min_size=1, max_size=40), max_size=8),
    extension=some.sampled_from([b"", b";a=b", b' ; a="0"']),
    trailers=some.sampled_from([b"", b"X: y\r\n", b"X: y\r\nZ: 0\r\n"]),
    cuts=some.lists(some.integers(0, 400), max_size=10),
)
def test_the_end_of_a_chunked_body_is_found_wherever_it_is_cut(
    payloads: list[bytes], extension: bytes, trailers: bytes, cuts: list[int]
) -> None:
    whole = chunked(payloads, extension, trailers)
    places = sorted({0, len(whole) - 1, *(cut for cut in cuts if cut < len(whole) - 1)})
    found = body(CHUNKED, *(whole[start:end] for start, end in pairwise(places)))
    assert not found.complete
    found.add(whole[-1:] + b"GET / HTTP/1.1\r\n\r\n")
    assert found.complete


@pytest.mark.parametrize(
    "data", [b"hello\r\n", b"\r\n", b"-1\r\n", b"x" * 70_000], ids=["text", "empty", "sign", "long"]
)
def test_a_malformed_chunk_is_not_waited_for(data: bytes) -> None:
    assert body(CHUNKED, data).complete


def test_chunks_beyond_the_limit_are_not_waited_for() -> None:
    assert not body(CHUNKED, b"3e8\r\n").complete
    assert body(CHUNKED, b"3e9\r\n").complete


@given(some.lists(some.integers(1, 300_000), max_size=12), some.integers(1, 2_000_000))
@settings(deadline=None, max_examples=30)
def test_a_buffer_returns_what_was_added(sizes: list[int], step: int) -> None:
    buffer = Buffer()
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    for piece in pieces:
        buffer.add(piece)
    taken = []
    while buffer:
        taken.append(buffer.take(step))
        assert 0 < len(taken[-1]) <= step
    assert b"".join(taken) == b"".join(pieces)
