"""XML in and out: one hardened way to read, one way to escape what string templates write.

Reading: lxml leaves external entities alone without a word and still expands entities inside attributes, so every
document that has a DOCTYPE is refused by looking at what the parser found (a byte search misses UTF-16). Sizes,
nodes, depth, attributes and the encoding are bounded before anything else sees the tree.
"""

import re
from dataclasses import dataclass
from typing import Final

from lxml import etree

from gateway.errors import BadInput, LimitExceeded


@dataclass(frozen=True, slots=True)
class XmlLimits:
    """Bounds of one XML document. Depth (256) and text nodes (10 MB) are libxml2's own without `huge_tree`."""

    max_bytes: int = 10 * 1024 * 1024
    max_nodes: int = 2_000_000
    max_depth: int = 256
    max_attributes: int = 256
    """Of one element."""
    max_namespaces: int = 64
    """Declared on one element, and those it inherits."""
    max_name: int = 1000
    """Characters of one element or attribute name, its namespace not counted."""


REQUEST: Final = XmlLimits(max_nodes=200_000)
"""Questions are small: eight megabytes of empty elements would cost a quarter of a gigabyte of memory."""
ANSWER: Final = XmlLimits()

_ENCODINGS: Final = frozenset({"UTF-8", "UTF-16", "UTF-16LE", "UTF-16BE", "US-ASCII", "ASCII"})


def parse(data: bytes, limits: XmlLimits) -> etree._Element:
    """The root element. Raises BadInput, LimitExceeded; their texts hold positions, never content."""
    if len(data) > limits.max_bytes:
        raise LimitExceeded(f"XML larger than {limits.max_bytes} bytes")
    if data.count(b"<") > limits.max_nodes:
        # Before the parse, because the tree is what costs memory. Counts end tags too: at worst we are too strict by 2.
        raise LimitExceeded(f"XML with more than {limits.max_nodes} nodes")
    # A parser of its own for each document: a shared one serialises the threads and keeps the last error log.
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise BadInput(f"not well-formed XML (line {line}, column {column})") from None
    except (ValueError, LookupError):
        raise BadInput("not well-formed XML") from None
    document: etree.DocInfo = root.getroottree().docinfo
    if document.internalDTD is not None:
        raise BadInput("XML with a DOCTYPE is refused")
    if (document.encoding or "UTF-8").upper() not in _ENCODINGS:
        raise BadInput("XML in an encoding other than UTF-8 or UTF-16 is refused")
    if not _is_plain(data, limits):
        _check_shape(root, limits)
    return root


_SMALL: Final = 64 * 1024


def _is_plain(data: bytes, limits: XmlLimits) -> bool:
    """Whether the bytes alone show that no limit of shape can be broken: an ordinary question, whose elements need no
    walk. It counts what a whole document has of each where the limit is on one element, so it errs on the side of
    walking. Not for UTF-16 (its bytes hold NUL), a `}` or a character reference that may stand for one."""
    return (
        len(data) <= _SMALL
        and b"\0" not in data
        and b"}" not in data
        and b"&#" not in data
        and data.count(b"<") <= limits.max_depth
        and data.count(b"=") <= limits.max_attributes
        and data.count(b"xmlns") <= limits.max_namespaces
        and max(map(len, data.split(b" "))) <= limits.max_name  # no name holds a blank
    )


def _check_shape(root: etree._Element, limits: XmlLimits) -> None:
    depth = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "end":
            depth -= 1
            continue
        depth += 1
        if depth > limits.max_depth:
            raise LimitExceeded(f"XML deeper than {limits.max_depth}")
        if len(element.attrib) > limits.max_attributes:
            raise LimitExceeded(f"XML element with more than {limits.max_attributes} attributes")
        if str(element.tag).count("}") > 1 or any(str(name).count("}") > 1 for name in element.attrib):
            # lxml writes a name as {namespace}local and cannot read such a one again.
            raise BadInput("an XML namespace that is no URI")
        names = [local_name(element), *(str(name).rpartition("}")[2] for name in element.attrib)]
        if any(len(name) > limits.max_name for name in names):
            raise LimitExceeded(f"XML name longer than {limits.max_name} characters")
        if len(element.nsmap) > limits.max_namespaces:
            raise LimitExceeded(f"XML element with more than {limits.max_namespaces} namespaces")


def local_name(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]


def text_of(element: etree._Element | None) -> str:
    """Text of the element without surrounding blanks; a comment inside does not cut it."""
    if element is None:
        return ""
    return "".join(map(str, element.itertext())).strip() if len(element) else str(element.text or "").strip()


_SPECIAL = re.compile('[&<>"\x00-\x1f\ufffe\uffff\ud800-\udfff]')
_REPLACED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def escape(text: str) -> str:
    """Text for an element or a double-quoted attribute. A character XML 1.0 cannot carry becomes U+FFFD."""
    return _SPECIAL.sub(lambda found: _REPLACED.get(found[0], "\ufffd"), text)
