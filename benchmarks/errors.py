"""What ends a benchmark."""


class BenchmarkError(Exception):
    """A measurement that must not be quoted; the message says why in one line."""
