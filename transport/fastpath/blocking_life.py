"""The life of a stream for threads: it begins in one process, ends once, and never under the thread that reads it."""

from __future__ import annotations

import os
import threading
from typing import Self


class BlockingLife:
    """What iterators over a connection of their own share; `_free` says what ends with them."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._busy = threading.Lock()
        """Held by the thread that reads."""
        self._closing = False
        self._ended = False

    def _free(self) -> None:
        """Close the connection and what belongs to it."""
        raise NotImplementedError

    def close(self) -> None:
        """End the iteration: at once, or within half a second where another thread waits in it."""
        self._closing = True
        self._end_if_idle()

    def __iter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_ended", True):
            self._end()

    def _end_if_idle(self) -> None:
        # A thread that waits in the iteration owns the sockets: it ends them when it next looks.
        if self._busy.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._busy.release()

    def _end(self) -> None:
        if self._ended or os.getpid() != self._pid:
            return
        self._ended = True
        self._free()
