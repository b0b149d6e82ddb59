"""The error that ends a benchmark."""


class BenchmarkError(Exception):
    """There is no valid result; the message says why in one line."""
