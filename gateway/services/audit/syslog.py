"""Records as syslog messages (RFC 5424) in octet-counted frames (RFC 5425), over a connection somebody else opened."""

from collections.abc import Callable
from typing import Final, Protocol

from gateway.errors import Unavailable
from gateway.model.audit import StoredRecord
from gateway.services.audit.dicom import audit_message, record_id

PRIORITY: Final = 85
"""Facility 10 (security), severity 5 (notice)."""
MESSAGE_ID: Final = "IHE+RFC-3881"
_BOM: Final = b"\xef\xbb\xbf"


class Connection(Protocol):
    """A TLS connection. `send` raises OSError when it is broken; `broken` says whether the other side closed it."""

    def send(self, data: bytes) -> None: ...
    def broken(self) -> bool: ...
    def close(self) -> None: ...


def frame(stored: StoredRecord, home: str, host: str, *, again: bool = False) -> bytes:
    """`again`: it may have come before; a repository knows it by its record id."""
    resent = ' resent="true"' if again else ""
    data = f'[musubi@32473 record="{record_id(home, stored.n)}"{resent}]'
    head = f"<{PRIORITY}>1 {stored.recorded} {host or '-'} musubi - {MESSAGE_ID} {data} "
    message = head.encode("ascii", "replace") + _BOM + audit_message(stored, home)
    return b"%d %b" % (len(message), message)


class SyslogSender:
    """delivery.Sender over syslog. Syslog has no answer, so nothing sent is certain until the connection has outlived it
    for a while (delivery.SURE_S)."""

    confirms = False

    def __init__(self, connect: Callable[[], Connection], home: str, host: str) -> None:
        self._connect, self._home, self._host = connect, home, host
        self._connection: Connection | None = None

    def check(self) -> None:
        """Raises Unavailable when the connection broke since."""
        if self._connection is not None and self._connection.broken():
            self._drop()
            raise Unavailable("the audit repository closed the connection")

    def send(self, stored: StoredRecord, *, again: bool) -> None:
        """Raises Unavailable."""
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.send(frame(stored, self._home, self._host, again=again))
        except OSError:
            self._drop()
            raise Unavailable("the audit repository does not take the record") from None

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
