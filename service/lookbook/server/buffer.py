"""A queue of bytes. When bytes leave it, their memory goes back to the system.

The heap would keep the memory, because it mixes the bodies of many clients. Tests: tests/unit/test_incoming.py.
"""

import mmap
from collections import deque
from dataclasses import dataclass

_PIECE_BYTES = 1024 * 1024
# Up to this much stays in the heap, which is faster.
_SMALL_BYTES = 256 * 1024


@dataclass(slots=True)
class _Piece:
    """The part of `memory` that is in use."""

    memory: bytes | mmap.mmap
    begin: int
    end: int


class Buffer:
    def __init__(self) -> None:
        self._pieces: deque[_Piece] = deque()
        self._added = 0

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add(self, data: bytes) -> None:
        self._added += len(data)
        if self._added <= _SMALL_BYTES:
            self._pieces.append(_Piece(data, 0, len(data)))
            return
        while data:
            data = self._fill(data)

    def take(self, size: int) -> bytes:
        """The next bytes, at most `size`; there must be some."""
        piece = self._pieces[0]
        end = min(piece.begin + size, piece.end)
        data = piece.memory[piece.begin : end]
        piece.begin = end
        if end == piece.end:
            self._drop_first()
        return data

    def clear(self) -> None:
        while self._pieces:
            self._drop_first()

    def _fill(self, data: bytes) -> bytes:
        """Copy what fits into one piece; returns the rest."""
        piece = self._pieces[-1] if self._pieces else None
        if piece is None or isinstance(piece.memory, bytes) or piece.end == _PIECE_BYTES:
            piece = _Piece(mmap.mmap(-1, _PIECE_BYTES), 0, 0)
            self._pieces.append(piece)
        end = min(piece.end + len(data), _PIECE_BYTES)
        count = end - piece.end
        piece.memory[piece.end : end] = data[:count]  # type: ignore[index]
        piece.end = end
        return data[count:]

    def _drop_first(self) -> None:
        memory = self._pieces.popleft().memory
        if not isinstance(memory, bytes):
            memory.close()
