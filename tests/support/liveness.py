"""Requests /livez in its own process until standard input ends: `python -m tests.support.liveness PORT`."""

import http.client
import select
import sys
import time


def main() -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        began = time.monotonic()
        connection.request("GET", "/livez")
        response = connection.getresponse()
        response.read()
        assert response.status == 200
        print(time.monotonic() - began, flush=True)


main()
