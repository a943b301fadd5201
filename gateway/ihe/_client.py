"""Asking another community: one SOAP question out, its answer back within a deadline and limits.

Peers are those of the configuration; no address found in a message is ever opened, and redirects are not followed.
What comes back is distrusted: what does not fit the question is refused or named as a finding.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

import requests
from lxml import etree
from urllib3 import Timeout
from urllib3.exceptions import HTTPError as TransportError
from urllib3.exceptions import TimeoutError as TransportTimeout

from gateway.codec import mtom, soap, xml
from gateway.codec.mtom import Part
from gateway.errors import BadInput, Forbidden, LimitExceeded, Unavailable
from gateway.model.caller import Caller
from gateway.model.clock import Chance, Clock
from gateway.services.documents import same_community, spool
from gateway.services.federation.outcomes import Down

_CHUNK: Final = 64 * 1024
CONNECT_S: Final = 3.0
"""For the connection itself: an address that answers nothing must not use up the time of a question."""
_LEAST_S: Final = 0.05
"""Less time than this left is none: no connection is opened for it."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another community as XCA sees it."""

    home: str
    """homeCommunityId, `urn:oid:...`"""
    xca: str
    """URL of its responding gateway."""
    name: str = ""
    documents_per_request: int = 0
    xcpd: str = ""
    """URL where it answers ITI-55."""
    fhir: str = ""
    """Its FHIR base, without a slash at the end."""
    behind: tuple[str, ...] = ()
    """homeCommunityIds it answers for besides its own: a hub."""

    def speaks_for(self, home: str) -> bool:
        return any(same_community(home, one) for one in (self.home, *self.behind))


class Finding(NamedTuple):
    """Something about a peer's answer that an operator should know. The text holds no patient data."""

    code: str
    text: str


class Received(NamedTuple):
    message_id: str
    """Of our request."""
    relates_to: str
    body: etree._Element
    parts: dict[str, Part]
    envelope: soap.Envelope


class Poster(Protocol):
    """What we use of requests.Session."""

    def post(self, url: str, **arguments: Any) -> requests.Response: ...
    def get(self, url: str, **arguments: Any) -> requests.Response: ...


def nobody(url: str) -> str:
    """In open mode nobody asks whose question it is."""
    return ""


Speaking = Callable[[Caller], tuple[Callable[[str], str], Callable[[str], str]]]
"""A caller -> what is said of them to a URL, over SOAP and over FHIR."""


@dataclass(frozen=True, slots=True)
class Call:
    """The parts a question needs; `send` is the question."""

    session: Poster
    clock: Clock = field(default_factory=Clock)
    chance: Chance = field(default_factory=Chance)
    spool: Callable[[], BinaryIO] = spool
    limits: mtom.MtomLimits = mtom.DEFAULT
    security: Callable[[str], str] = nobody
    """URL -> header block that says in whose name it is asked. Raises Forbidden."""
    authorization: Callable[[str], str] = nobody
    """The same for FHIR: the Authorization header; empty: none."""
    speaking: "Speaking | None" = None
    """How `by` finds the two; None: open mode."""

    def by(self, caller: Caller) -> "Call":
        """The same, in the name of a caller: whoever asks a question is who peers hear of."""
        if self.speaking is None:
            return self
        security, authorization = self.speaking(caller)
        return replace(self, security=security, authorization=authorization)

    def send(
        self,
        url: str,
        action: str,
        body: bytes,
        *,
        deadline_s: float,
        packed: bool = False,
        parts: Sequence[mtom.OutPart] = (),
    ) -> Received:
        """Posts one question and reads its answer. With `packed` the question goes out as a package, with `parts` behind
        its envelope.

        Raises TimeoutError, Unavailable (no connection, HTTP 5xx without an envelope), Forbidden (401, 403), BadInput
        (not a SOAP answer, a fault, another message's answer), LimitExceeded.
        """
        until = self.clock.monotonic() + deadline_s
        message_id = f"urn:uuid:{self.chance.new_uuid()}"
        envelope = soap.request(action, message_id, url, body, headers=self.security(url))
        data, content_type = self._package(envelope, action, packed, parts)
        if deadline_s < _LEAST_S:
            raise TimeoutError("no time left to ask")
        try:
            with self.session.post(
                url,
                data=data,
                headers={"Content-Type": content_type, "Accept-Encoding": "identity"},
                stream=True,
                allow_redirects=False,
                auth=no_credentials,
                timeout=total(deadline_s),
            ) as response:
                return self._read(response, message_id, until)
        except (requests.Timeout, TransportTimeout):
            raise TimeoutError("the community did not answer in time") from None
        except (requests.RequestException, TransportError):
            raise Unavailable("the community cannot be reached") from None

    def _package(self, envelope: bytes, action: str, packed: bool, parts: Sequence[mtom.OutPart]) -> tuple[bytes, str]:
        if not packed:
            return envelope, f'{soap.MEDIA_TYPE}; charset=UTF-8; action="{action}"'
        boundary, root = f"uuid_{self.chance.new_uuid()}", f"{self.chance.new_uuid()}@musubi"
        return b"".join(mtom.write(boundary, root, envelope, parts)), mtom.content_type(boundary, root, action)

    def _read(self, response: requests.Response, message_id: str, until: float) -> Received:
        content_type = response.headers.get("Content-Type", "")
        if response.status_code in (401, 403):
            raise Forbidden("the community refuses us")
        media = content_type.partition(";")[0].strip().lower()
        if media not in (soap.MEDIA_TYPE, mtom.MULTIPART):
            if response.status_code >= 500:
                raise Down(f"the community answers HTTP {response.status_code}")
            raise BadInput(f"the answer is not SOAP (HTTP {response.status_code})")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise BadInput("the answer is compressed, which was not asked for")
        chunks = self._chunks(response, until)
        parts: dict[str, Part] = {}
        if media == mtom.MULTIPART:
            package = mtom.collect(chunks, content_type, self.spool, self.limits)
            if package.root.size > xml.ANSWER.max_bytes:
                raise LimitExceeded(f"an envelope larger than {xml.ANSWER.max_bytes} bytes")
            data, parts = package.root.read(), package.parts
        else:
            data = _bounded(chunks, xml.ANSWER.max_bytes)
        try:
            envelope = soap.read_answer(data, xml.ANSWER)
        except soap.SoapFault as fault:
            if any(code.startswith(("wsse:", "wsu:")) for code in fault.subcodes):
                raise Forbidden("the community does not accept who asks") from None
            raise
        if envelope.body is None:
            raise BadInput("the answer has an empty soap:Body")
        if envelope.relates_to and envelope.relates_to != message_id:
            raise BadInput("the answer relates to another message")
        return Received(message_id, envelope.relates_to, envelope.body, parts, envelope)

    def _chunks(self, response: requests.Response, until: float) -> Iterator[bytes]:
        """Pieces as they come (`read1`): a peer that drips bytes must not hold us past the deadline."""
        while True:
            if self.clock.monotonic() > until:
                raise TimeoutError("the community did not finish its answer in time")
            chunk = response.raw.read1(_CHUNK)
            if not chunk:
                return
            yield chunk


def total(seconds: float) -> Timeout:
    """For everything: connecting, sending, waiting and reading (_transport.py holds the reading to it)."""
    return Timeout(total=seconds, connect=min(CONNECT_S, seconds))


def no_credentials(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    """Given so that requests does not look for a password of the operator's in ~/.netrc and send it to a peer."""
    return prepared


def _bounded(chunks: Iterator[bytes], limit: int) -> bytes:
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > limit:
            raise LimitExceeded(f"an answer larger than {limit} bytes")
    return bytes(data)


def same_relation(received: Received) -> Iterator[Finding]:
    """A missing RelatesTo is a finding (a wrong one was refused before)."""
    if not received.relates_to:
        yield Finding("missing-relates-to", "the answer has no wsa:RelatesTo")
