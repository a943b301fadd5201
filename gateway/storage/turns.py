"""Which process of a node works on a queue now. Implements ports.Turns.

A row of the ledger that stands for no file, so it is in the node's one database, whichever that is.
"""

import os
import socket
from typing import Final

from gateway.model.clock import Clock
from gateway.model.ingest import Seen
from gateway.storage.engines import Driver
from gateway.storage.keep_log import note
from gateway.storage.writer import Writer

TURN_S: Final = 60
"""How long a queue stays with a process that no longer asks for it, in seconds."""


class TurnTable:
    """ports.Turns over one database; `owner` is this process."""

    def __init__(self, writer: Writer, clock: Clock, owner: str = "") -> None:
        self._writer, self._clock = writer, clock
        self._owner = owner or f"{socket.gethostname()} {os.getpid()} {os.urandom(8).hex()}"
        self._until: dict[str, float] = {}

    def mine(self, queue: str) -> bool:
        # Written anew when half of the time is over: a worker that asks every second costs a commit every half minute.
        now = self._clock.now().timestamp()
        if self._until.get(queue, 0.0) - now > TURN_S / 2:
            return True
        path = b"turn:" + queue.encode()

        def take(driver: Driver) -> bool:
            row = driver.row("SELECT outcome, size FROM ledger WHERE path = ?", (path,))
            if row and row[0] != self._owner and row[1] > now:
                return False
            note(driver, path, Seen(int(now + TURN_S), 0, self._owner, ""))
            return True

        mine = self._writer.run(take)
        self._until[queue] = now + TURN_S if mine else 0.0
        return mine
