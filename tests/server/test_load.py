"""Many requests at once, on one worker."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest
import requests
from lookbook.settings import Settings
from PIL import Image

from tests.support.images import encoded
from tests.support.load import heavy, kill_under_load, liveness, one_key_at_once
from tests.support.places import BAG
from tests.support.running import Service, until

HEAD = b"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n"


def test_livez_answers_while_a_hundred_requests_queue(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    image = heavy()
    with liveness(service) as seconds, ThreadPoolExecutor(100) as pool:
        responses = list(pool.map(lambda _: service.send(image), range(100)))
    assert {response.status_code for response in responses} <= {201, 503}
    assert sum(response.status_code == 201 for response in responses) >= Settings().max_requests
    assert all("Retry-After" in response.headers for response in responses if response.status_code == 503)
    assert len(seconds) > 20
    assert max(seconds) < 0.1


def test_livez_answers_while_two_hundred_clients_send_a_byte_a_second(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    with ExitStack() as stack:
        socks = [stack.enter_context(socket.create_connection(("127.0.0.1", service.port), 10)) for _ in range(200)]
        with liveness(service) as seconds:
            for sock in socks[:100]:
                sock.sendall(HEAD)
            for tick in range(8):
                for number, sock in enumerate(socks):
                    text = b"P" if number < 100 else HEAD[tick : tick + 1]
                    try:
                        sock.sendall(text)
                    except OSError:
                        continue  # the server has refused the request and closed the connection
                time.sleep(1)
    assert len(seconds) > 100
    assert max(seconds) < 0.1
    until(lambda: service.send(BAG.read_bytes()).status_code == 201)


def partly_noise(mode: str, side: int, rows: int) -> Image.Image:
    """An image of which only the first rows are hard to compress."""
    image = Image.new(mode, (side, side))
    noise = np.random.default_rng(1).integers(0, 256, rows * side * len(mode), np.uint8)
    if mode == "P":
        image.putpalette(bytes(range(256)) * 3)
    image.paste(Image.frombytes(mode, (side, rows), noise.tobytes()))
    return image


LARGEST = {
    "alpha": lambda: encoded(partly_noise("RGBA", 5000, 390), compress_level=1),
    "palette": lambda: encoded(partly_noise("P", 5000, 1600), compress_level=1, transparency=0),
    "WebP": lambda: encoded(partly_noise("RGBA", 3530, 567), "WEBP", lossless=True, method=0),
}


@pytest.mark.parametrize("kind", LARGEST)
def test_images_at_the_limits_fit_into_memory(serve: Callable[..., Service], kind: str) -> None:
    service = serve().ready()
    limit = Settings().max_bytes
    image = LARGEST[kind]()
    assert 0.95 * limit < len(image) < limit

    def send() -> requests.Response:
        return requests.post(f"{service.url}/v1/predictions", image, headers={"Content-Type": "image/png"}, timeout=120)

    with ThreadPoolExecutor(100) as pool:
        sending = [pool.submit(send) for _ in range(100)]
        most = service.most_resident(sending)
    assert {future.result().status_code for future in sending} == {201, 503}
    assert most < 512_000_000


def test_killed_workers_lose_nothing_on_sqlite(serve: Callable[..., Service]) -> None:
    kill_under_load(serve(workers=2).ready())


def test_one_key_twenty_at_once_is_one_prediction_on_sqlite(serve: Callable[..., Service]) -> None:
    one_key_at_once(serve(workers=2).ready())
