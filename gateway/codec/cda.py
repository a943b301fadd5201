"""The head of a CDA R2 document (HL7 Clinical Document Architecture): whose it is and what it calls itself.

Read in pieces as they pass by, and no further than the patient (recordTarget): a discharge summary may carry hundreds
of megabytes of pictures behind it. Every DOCTYPE is refused. Nothing of the body is read.
"""

from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from gateway.codec.xml import local_name, text_of

NAMESPACE: Final = "urn:hl7-org:v3"
MAX_HEAD: Final = 4 * 1024 * 1024
"""Bytes in which the patient has to come."""
MAX_IDS: Final = 100

_HEAD: Final = frozenset({"title", "effectiveTime", "code"})
_BEHIND: Final = frozenset({"author", "custodian", "component", "dataEnterer", "informant", "documentationOf"})
"""Participations that come after recordTarget in every CDA (CDA R2 schema, ClinicalDocument)."""


@dataclass(slots=True)
class CdaHead:
    """What was found. `problem` says why the rest is missing, in words without content."""

    patients: list[tuple[tuple[str, str], ...]] = field(default_factory=list)
    """One a recordTarget: its ids as (root, extension); nullFlavor ids are left out."""
    title: str = ""
    effective_time: str = ""
    """As sent (TS)."""
    code: tuple[str, str, str] = ("", "", "")
    """code, codeSystem (OID), displayName."""
    problem: str = ""


class CdaReader:
    """`feed` pieces of a file from its beginning until `done`; then `head` is what it is, or None: no CDA."""

    def __init__(self) -> None:
        self._parser = etree.XMLPullParser(
            events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
        )
        self._fed = 0
        self._depth = 0
        self.head: CdaHead | None = None
        self.done = False

    def feed(self, piece: bytes) -> None:
        """Never raises for what the bytes hold."""
        if self.done:
            return
        self._fed += len(piece)
        broken = False
        try:
            self._parser.feed(piece)
        except (etree.XMLSyntaxError, ValueError, LookupError):
            broken = True
        try:
            for event, element in self._parser.read_events():
                if isinstance(element, etree._Element):
                    self._take(event, element)
                if self.done:
                    return
        except etree.XMLSyntaxError:
            broken = True
        if broken:
            self._stop("not well-formed XML")
        elif self._fed > MAX_HEAD:
            self._stop("no patient within its first bytes")

    def close(self) -> None:
        """The file has ended."""
        if not self.done:
            self._stop("" if self.head is not None and self.head.patients else "it ends before the patient")

    def _stop(self, problem: str) -> None:
        self.done = True
        if self.head is not None and problem:
            self.head.problem = problem

    def _take(self, event: str, element: etree._Element) -> None:
        name = local_name(element) if isinstance(element.tag, str) else ""
        if event == "start":
            self._depth += 1
            if self._depth == 1:
                self._root(element)
            elif self._depth == 2 and name in _BEHIND:
                self._stop("")
            return
        self._depth -= 1
        if self._depth != 1 or self.head is None:
            return
        if name in _HEAD:
            self._say(name, element)
        elif name == "recordTarget":
            self.head.patients.append(_ids(element))
        element.clear()

    def _root(self, element: etree._Element) -> None:
        if element.tag != f"{{{NAMESPACE}}}ClinicalDocument":
            self.done = True
            return
        self.head = CdaHead()
        if element.getroottree().docinfo.internalDTD is not None:
            self._stop("XML with a DOCTYPE")

    def _say(self, name: str, element: etree._Element) -> None:
        assert self.head is not None
        if name == "title":
            self.head.title = " ".join(text_of(element).split())
        elif name == "effectiveTime":
            self.head.effective_time = element.get("value") or ""
        else:
            self.head.code = tuple(element.get(key) or "" for key in ("code", "codeSystem", "displayName"))  # type: ignore[assignment]


def _ids(target: etree._Element) -> tuple[tuple[str, str], ...]:
    """ids of patientRole, the first MAX_IDS."""
    found = target.findall(f"{{{NAMESPACE}}}patientRole/{{{NAMESPACE}}}id")[:MAX_IDS]
    return tuple((one.get("root") or "", one.get("extension") or "") for one in found if one.get("nullFlavor") is None)
