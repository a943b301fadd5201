"""The connections audit records leave by: TLS to a syslog repository, HTTPS to a FHIR one."""

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import requests

from gateway.services.audit.feed import Post

TIMEOUT_S = 10.0


class TlsConnection:
    """services/audit/syslog.Connection. TLS 1.2 or later, the repository's certificate checked against the given CA."""

    def __init__(
        self, host: str, port: int, ca_file: Path | None, cert_file: Path | None, key_file: Path | None
    ) -> None:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if cert_file is not None:
            context.load_cert_chain(cert_file, key_file)
        raw = socket.create_connection((host, port), TIMEOUT_S)
        try:
            self._socket = context.wrap_socket(raw, server_hostname=host)
        except (OSError, ssl.SSLError):
            raw.close()
            raise

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def broken(self) -> bool:
        """A syslog receiver never speaks; what can be read is TLS's own (session tickets), or the end."""
        self._socket.setblocking(False)
        try:
            return not self._socket.recv(1)
        except (ssl.SSLWantReadError, BlockingIOError):
            return False
        except OSError:
            return True
        finally:
            with suppress(OSError):
                self._socket.settimeout(TIMEOUT_S)

    def close(self) -> None:
        self._socket.close()


def poster(url: str, ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> Post:
    """services/audit/feed.Post to `url` (FHIR base)."""
    session = requests.Session()
    session.trust_env = False
    if ca_file is not None:
        session.verify = str(ca_file)
    if cert_file is not None:
        session.cert = (str(cert_file), str(key_file or cert_file))

    def post(body: bytes, headers: Mapping[str, str]) -> int:
        address = f"{url.rstrip('/')}/AuditEvent"
        answer = session.post(address, data=body, headers=dict(headers), timeout=TIMEOUT_S, allow_redirects=False)
        return answer.status_code

    return post
