"""FHIR in XML (R4 2.6.1), both ways, led by the type tables: which elements repeat, which are attributes, and their order.

Reading gives the same dict as reading JSON does (codec/fhir.py): Decimals keep their digits, whole numbers are int.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from lxml import etree

from gateway.codec import xml
from gateway.codec.xml import XmlLimits, escape, local_name
from gateway.errors import BadInput, LimitExceeded
from gateway.profiles.tables import Element, Tables, capital

NAMESPACE: Final = "http://hl7.org/fhir"
XHTML: Final = "http://www.w3.org/1999/xhtml"
LIMITS: Final = XmlLimits(max_bytes=16 * 1024 * 1024, max_nodes=400_000, max_depth=64)

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_INTEGERS = frozenset({"integer", "positiveInt", "unsignedInt"})
_MAX_DIGITS = 60


class FhirXml:
    """The XML format over one set of type tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._order: dict[str, list[Element]] = {}

    # -- writing ------------------------------------------------------------------------------------------------------

    def render(self, resource: dict[str, Any]) -> bytes:
        """UTF-8, one line. Raises BadInput for an element that FHIR does not have: it would have no place."""
        out: list[str] = ['<?xml version="1.0" encoding="UTF-8"?>']
        self._resource(resource, out, f' xmlns="{NAMESPACE}"')
        return "".join(out).encode()

    def _resource(self, resource: dict[str, Any], out: list[str], namespace: str = "") -> None:
        type_ = str(resource.get("resourceType", ""))
        if self._tables.type(type_) is None:
            raise BadInput("not a FHIR resource")
        out.append(f"<{type_}{namespace}>")
        self._children(type_, {k: v for k, v in resource.items() if k != "resourceType"}, out)
        out.append(f"</{type_}>")

    def _children(self, context: str, value: dict[str, Any], out: list[str]) -> None:
        """Elements in the order of the type; attributes (`id` of an element, `url` of an extension) are done already."""
        rest = set(value)
        for element in self._elements(context):
            for name, typed in _names(element):
                below, companion = value.get(name), value.get(f"_{name}")
                rest -= {name, f"_{name}"}
                if below is None and companion is None:
                    continue
                if _is_attribute(context, name):
                    continue
                self._values(context, name, element, typed, below, companion, out)
        if rest:
            raise BadInput(f"an element of {context} that FHIR R4 does not have")

    def _values(
        self, context: str, name: str, element: Element, type_: str, below: Any, companion: Any, out: list[str]
    ) -> None:
        many = below if isinstance(below, list) else [below]
        more = companion if isinstance(companion, list) else [companion]
        for at in range(max(len(many), len(more))):
            one = many[at] if at < len(many) else None
            aside = more[at] if at < len(more) else None
            if _is_primitive(type_):
                self._primitive(name, type_, one, aside, out)
            elif isinstance(one, dict):
                self._complex(context, name, element, type_, one, out)

    def _primitive(self, name: str, type_: str, value: Any, aside: Any, out: list[str]) -> None:
        if type_ == "xhtml":
            out.append(str(value))
            return
        attributes = f' id="{escape(str(aside["id"]))}"' if isinstance(aside, dict) and "id" in aside else ""
        if value is not None:
            attributes += f' value="{escape(_written(value))}"'
        if not attributes and not aside:
            return
        out.append(f"<{name}{attributes}")
        extensions = aside.get("extension", ()) if isinstance(aside, dict) else ()
        if not extensions:
            out.append("/>")
            return
        out.append(">")
        for extension in extensions:
            self._complex("Element", "extension", Element("extension", 0, -1), "Extension", extension, out)
        out.append(f"</{name}>")

    def _complex(
        self, context: str, name: str, element: Element, type_: str, value: dict[str, Any], out: list[str]
    ) -> None:
        if type_ == "Resource":
            out.append(f"<{name}>")
            self._resource(value, out)
            out.append(f"</{name}>")
            return
        below = element.content or (f"{context}.{name}" if type_ in ("BackboneElement", "Element") else type_)
        attributes = "".join(
            f' {key}="{escape(str(value[key]))}"' for key in ("id", "url") if key in value and _is_attribute(below, key)
        )
        out.append(f"<{name}{attributes}>")
        self._children(below, value, out)
        out.append(f"</{name}>")

    def _elements(self, context: str) -> list[Element]:
        """Direct children of a context in order."""
        found = self._order.get(context)
        if found is None:
            type_, _, prefix = context.partition(".")
            start = f"{prefix}." if prefix else ""
            found = [
                element
                for path, element in self._tables.elements(type_).items()
                if path.startswith(start) and "." not in path[len(start) :]
            ]
            self._order[context] = found
        return found

    # -- reading ------------------------------------------------------------------------------------------------------

    def parse(self, data: bytes) -> dict[str, Any]:
        """Raises BadInput for what is no FHIR in XML, LimitExceeded for what is too large. Texts hold no content."""
        return self._read_resource(xml.parse(data, LIMITS))

    def _read_resource(self, node: etree._Element) -> dict[str, Any]:
        type_ = _fhir_name(node)
        definition = self._tables.type(type_)
        if definition is None or definition.kind != "resource":
            raise BadInput("not a FHIR resource in XML")
        return {"resourceType": type_, **self._read_children(type_, node)}

    def _read_children(self, context: str, node: etree._Element) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, attribute in node.attrib.items():
            if key in ("id", "url") and _is_attribute(context, str(key)):
                found[str(key)] = str(attribute)
            elif str(key) != "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation":
                raise BadInput(f"an attribute of {context} that FHIR does not have")
        if (node.text or "").strip() or any((child.tail or "").strip() for child in node):
            raise BadInput(f"text inside {context}")
        for child in _nodes(node):
            self._read_child(context, child, found)
        return _tidied(found)

    def _read_child(self, context: str, child: etree._Element, found: dict[str, Any]) -> None:
        if child.tag == f"{{{XHTML}}}div":
            if context != "Narrative":
                raise BadInput("XHTML outside a Narrative")
            found["div"] = etree.tostring(child, encoding="unicode", with_tail=False)
            return
        name = _fhir_name(child)
        element = self._tables.child(context, name)
        if element is None or _is_attribute(context, name):
            raise BadInput(f"an element of {context} that FHIR R4 does not have")
        type_ = _type_of(element)
        repeats = element.max != 1
        if not _is_primitive(type_):
            value = self._read_complex(context, name, element, type_, child)
            if repeats:
                found.setdefault(name, []).append(value)
            elif name in found:
                raise BadInput(f"{context}.{name} comes twice")
            else:
                found[name] = value
            return
        value, aside = self._read_primitive(type_, child)
        if not repeats and (name in found or f"_{name}" in found):
            raise BadInput(f"{context}.{name} comes twice")
        if repeats:
            found.setdefault(name, []).append(value)
            found.setdefault(f"_{name}", []).append(aside)
            return
        if value is not None:
            found[name] = value
        if aside is not None:
            found[f"_{name}"] = aside

    def _read_complex(self, context: str, name: str, element: Element, type_: str, node: etree._Element) -> Any:
        if type_ == "Resource":
            inner = list(_nodes(node))
            if len(inner) != 1:
                raise BadInput(f"{context}.{name} holds one resource")
            return self._read_resource(inner[0])
        below = element.content or (f"{context}.{name}" if type_ in ("BackboneElement", "Element") else type_)
        return self._read_children(below, node)

    def _read_primitive(self, type_: str, node: etree._Element) -> tuple[Any, Any]:
        aside: dict[str, Any] = {}
        value: Any = None
        for key, attribute in node.attrib.items():
            if key == "value":
                value = _typed(type_, str(attribute))
            elif key == "id":
                aside["id"] = str(attribute)
            else:
                raise BadInput("an attribute that FHIR does not have")
        for child in _nodes(node):
            if _fhir_name(child) != "extension":
                raise BadInput("a primitive value holds extensions only")
            aside.setdefault("extension", []).append(self._read_children("Extension", child))
        if value is None and not aside:
            raise BadInput("an empty element")
        return value, aside or None


def _names(element: Element) -> Iterator[tuple[str, str]]:
    """(name in the instance, its type) for each type of an element."""
    stem = element.path.rpartition(".")[2]
    if stem.endswith("[x]"):
        for option in element.types:
            yield stem.removesuffix("[x]") + capital(option.code), option.code
    else:
        yield stem, _type_of(element)


def _type_of(element: Element) -> str:
    """`Element` stands for a backbone element whose rows hang below it (contentReference)."""
    return element.types[0].code if element.types else "Element"


def _is_primitive(type_: str) -> bool:
    return type_[:1].islower() or type_ == "xhtml"


def _is_attribute(context: str, name: str) -> bool:
    """`id` of everything but a resource, and `url` of an extension, are attributes."""
    if name == "url":
        return context == "Extension"
    return name == "id" and ("." in context or context in _DATA_TYPES)


_DATA_TYPES: Final = frozenset(
    [
        "Address",
        "Age",
        "Annotation",
        "Attachment",
        "BackboneElement",
        "CodeableConcept",
        "Coding",
        "ContactDetail",
        "ContactPoint",
        "Contributor",
        "Count",
        "DataRequirement",
        "Distance",
        "Dosage",
        "Duration",
        "Element",
        "ElementDefinition",
        "Expression",
        "Extension",
        "HumanName",
        "Identifier",
        "MarketingStatus",
        "Meta",
        "Money",
        "Narrative",
        "ParameterDefinition",
        "Period",
        "Population",
        "ProdCharacteristic",
        "ProductShelfLife",
        "Quantity",
        "Range",
        "Ratio",
        "Reference",
        "RelatedArtifact",
        "SampledData",
        "Signature",
        "SubstanceAmount",
        "Timing",
        "TriggerDefinition",
        "UsageContext",
    ]
)


def _nodes(node: etree._Element) -> Iterator[etree._Element]:
    """Child elements; comments and processing instructions mean nothing."""
    return (child for child in node if isinstance(child.tag, str))


def _fhir_name(node: etree._Element) -> str:
    if not str(node.tag).startswith(f"{{{NAMESPACE}}}"):
        raise BadInput("an element that is not of the FHIR namespace")
    return local_name(node)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f") if "E" not in str(value).upper() else str(value)
    return str(value)


def _typed(type_: str, text: str) -> Any:
    if type_ == "boolean":
        if text not in ("true", "false"):
            raise BadInput("a boolean is true or false")
        return text == "true"
    if type_ in _INTEGERS:
        if not _WHOLE.fullmatch(text):
            raise BadInput("not a whole number")
        return int(text)
    if type_ == "decimal":
        if len(text) > _MAX_DIGITS:
            raise LimitExceeded("a number with too many digits")
        if not _NUMBER.fullmatch(text):
            raise BadInput("not a number")
        return int(text) if text.lstrip("-").isdigit() else Decimal(text)
    return text


def _tidied(found: dict[str, Any]) -> dict[str, Any]:
    """Companion arrays of repeating primitives without anything in them go; so does an array of nothing but them."""
    for key in [key for key in found if key.startswith("_") and isinstance(found[key], list)]:
        if not any(found[key]):
            del found[key]
        elif not any(value is not None for value in found[key[1:]]):
            del found[key[1:]]
    return found
