"""The OASIS and IHE schemas as independent judges of the ebXML we emit. Only tests use it."""

from functools import cache
from pathlib import Path

from lxml import etree

_XOP = "{http://www.w3.org/2004/08/xop/include}Include"


@cache
def _schema(folder: Path, name: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(folder / name)))


def errors_of(shared: Path, element: etree._Element) -> list[str]:
    """What is wrong with one body element; empty when it is valid. An xop:Include counts as the base64 it stands for."""
    copy = etree.fromstring(etree.tostring(element))
    for include in copy.iter(_XOP):
        parent = include.getparent()
        parent.remove(include)
        parent.text = "AAAA"
    name = "XDS.b_DocumentRepository.xsd" if "xds-b" in str(copy.tag) else "query.xsd"
    schema = _schema(shared / "schemas" / "xds" / "v3", name)
    schema.validate(copy)
    return [f"{error.line}: {error.message}" for error in schema.error_log]
