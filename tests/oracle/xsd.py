"""The schemas of OASIS, IHE and HL7 as independent judges of the ebXML and v3 we emit. Only tests use it."""

from functools import cache
from pathlib import Path

from lxml import etree

_XOP = "{http://www.w3.org/2004/08/xop/include}Include"


@cache
def _schema(folder: Path, name: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(folder / name)))


def v3_errors_of(shared: Path, element: etree._Element) -> list[str]:
    """The same of an HL7 v3 message, by the NE2008 schema of its interaction."""
    copy = etree.fromstring(etree.tostring(element))
    name = etree.QName(copy).localname.removesuffix("_Cancel")
    schema = _schema(shared / "schemas" / "hl7v3" / "NE2008" / "multicacheschemas", f"{name}.xsd")
    schema.validate(copy)
    return [f"{error.line}: {error.message}" for error in schema.error_log]


def errors_of(shared: Path, element: etree._Element) -> list[str]:
    """What is wrong with one body element; empty when it is valid. An xop:Include counts as the base64 it stands for."""
    copy = etree.fromstring(etree.tostring(element))
    for include in copy.iter(_XOP):
        parent = include.getparent()
        parent.remove(include)
        parent.text = "AAAA"
    tag = str(copy.tag)
    name = "XDS.b_DocumentRepository.xsd" if "xds-b" in tag else "lcm.xsd" if ":lcm:" in tag else "query.xsd"
    schema = _schema(shared / "schemas" / "xds" / "v3", name)
    schema.validate(copy)
    return [f"{error.line}: {error.message}" for error in schema.error_log]
