"""The names of the batch jobs that made predictions. Tests: tests/unit/test_v1.py."""

from uuid import UUID

from lookbook.job import job_tag
from lookbook.store import Store


class JobNames:
    """Remembers names, because a tag always means the same job."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names: dict[int, str | None] = {}

    def name(self, id: UUID) -> str | None:
        """The job whose prediction has this id; None if a request made it."""
        tag = job_tag(id)
        if tag is None:
            return None
        if tag not in self._names:
            job = self._store.job(tag)
            self._names[tag] = job.name if job else None
        return self._names[tag]
