"""Batch jobs and the history as a table, on Spark."""

from typing import Any


def register(session: Any) -> None:
    """Make the format "lookbook" known to the Spark session."""
    # Imported here: each worker of a batch job would need more memory for it.
    from lookbook.spark import history

    history.register(session)
