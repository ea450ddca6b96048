"""Copies of the running server: each begins with all that the server holds, has a port of its own, and goes its own way.

A world that many tests start from is built once: a copy is a fork, and takes some milliseconds where building takes as
many calls. `POST /cordon-test/copy` makes one and answers its endpoint; `end` ends it. A copy ends
with the server's standard input too.
"""

import gc
import os
import signal
import socket
import threading
import traceback
from contextlib import contextmanager
from typing import Callable, Iterator

# Until the answer to `end` has left.
LAST_WORDS_S = 0.2
# How long a copy waits for the requests that are under way; less than its client waits (`world_aws.py`), who is to hear why.
QUIET_S = 50


class Copies:
    """Makes copies while no other request is under way, so that none begins with half of what one does, or with its locks.

    `serve` answers on a socket that listens, without end.
    """

    def __init__(self, host: str, serve: Callable[[socket.socket], None]):
        self.host, self.serve = host, serve
        self.is_copy = False
        self.quiet, self.busy, self.wanted = threading.Condition(), 0, 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """Around every request but those for copies."""
        with self.quiet:
            # Or a server that is never idle would never be copied.
            self.quiet.wait_for(lambda: not self.wanted)
            self.busy += 1
        try:
            yield
        finally:
            with self.quiet:
                self.busy -= 1
                self.quiet.notify_all()

    def make(self) -> dict[str, str]:
        with socket.create_server((self.host, 0)) as listener:
            with self.quiet:
                self.wanted += 1
                try:
                    if not self.quiet.wait_for(lambda: not self.busy, QUIET_S):
                        raise TimeoutError(f"no copy: {self.busy} requests are still under way after {QUIET_S} s")
                    if os.fork() == 0:
                        self.become(listener)
                finally:
                    self.wanted -= 1
                    self.quiet.notify_all()
            return {"endpoint": f"http://{self.host}:{listener.getsockname()[1]}"}

    def become(self, listener: socket.socket) -> None:
        """What a copy does from its first moment to its last."""
        try:
            self.is_copy = True
            self.quiet, self.wanted = threading.Condition(), 0
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            # The connections of the server are not its own, or nobody would see them end.
            os.closerange(3, listener.fileno())
            os.closerange(listener.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
            # It is over before garbage matters; looking for some would copy all of its memory.
            gc.disable()
            threading.Thread(target=end_with_parent, args=(lambda: os._exit(0),), daemon=True).start()
            self.serve(listener)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)

    def end(self) -> None:
        if not self.is_copy:
            raise ValueError("this is no copy")
        threading.Timer(LAST_WORDS_S, os._exit, (0,)).start()


def end_with_parent(end: Callable[[], None]) -> None:
    """Reads standard input to its end, below Python's buffer, whose lock would abort the exit on SIGTERM."""
    while os.read(0, 4096):
        pass
    end()
