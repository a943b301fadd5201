"""What `?wsdl` answers: the operations of one endpoint, made from its transactions.

The bodies are declared open (any attributes, any content): the schemas of ebXML are OASIS's to publish, and a client
that needs them has them; one that has not can still send elements.
"""

from typing import Final

from gateway.codec.xml import escape
from gateway.ihe._soap import Operation

_XSD: Final = "http://www.w3.org/2001/XMLSchema"


def wsdl(transactions: tuple[Operation, ...], address: str) -> bytes:
    """A WSDL 1.1 description; `address` is the URL the endpoint was reached by."""
    names = sorted({element for transaction in transactions for element in transaction.elements})
    names = [name for name in names if name]
    spaces = sorted({_space(name) for name in names})
    prefix = {space: f"n{number}" for number, space in enumerate(spaces, start=1)}

    def qualified(name: str) -> str:
        return f"{prefix[_space(name)]}:{_local(name)}"

    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n<definitions xmlns="http://schemas.xmlsoap.org/wsdl/"'
        ' xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:wsam="http://www.w3.org/2007/05/addressing/metadata"'
        ' xmlns:here="urn:musubi:wsdl" targetNamespace="urn:musubi:wsdl" name="Musubi"',
        *(f' xmlns:{prefix[space]}="{space}"' for space in spaces),
        "><types>",
        *(_schema(space, [_local(name) for name in names if _space(name) == space]) for space in spaces),
        "</types>",
    ]
    for transaction in transactions:
        for kind, element in zip(("Request", "Response"), transaction.elements, strict=True):
            if not element:
                continue  # a one-way message
            parts.append(
                f'<message name="{_name(transaction)}{kind}"><part name="body" element="{qualified(element)}"/></message>'
            )
    parts += ['<portType name="Port">', *map(_operation, transactions), "</portType>"]
    parts += [
        '<binding name="Binding" type="here:Port">'
        '<soap12:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>',
        *map(_bound, transactions),
        '</binding><service name="Service"><port name="Port" binding="here:Binding">'
        f'<soap12:address location="{escape(address)}"/></port></service></definitions>',
    ]
    return "".join(parts).encode()


def _name(transaction: Operation) -> str:
    return transaction.name.replace(" ", "")


def _space(element: str) -> str:
    return element[1:].partition("}")[0]


def _local(element: str) -> str:
    return element.rpartition("}")[2]


def _schema(space: str, elements: list[str]) -> str:
    inside = "".join(
        f'<xsd:element name="{name}"><xsd:complexType><xsd:sequence><xsd:any minOccurs="0" maxOccurs="unbounded"'
        ' processContents="lax"/></xsd:sequence><xsd:anyAttribute processContents="lax"/></xsd:complexType></xsd:element>'
        for name in elements
    )
    return (
        f'<xsd:schema xmlns:xsd="{_XSD}" targetNamespace="{space}" elementFormDefault="qualified">{inside}</xsd:schema>'
    )


def _operation(transaction: Operation) -> str:
    name, action = _name(transaction), transaction.action
    output = f'<output message="here:{name}Response" wsam:Action="{transaction.answer_action}"/>'
    return (
        f'<operation name="{name}"><documentation>{transaction.number} ({transaction.section})</documentation>'
        f'<input message="here:{name}Request" wsam:Action="{action}"/>'
        f"{output if transaction.elements[1] else ''}</operation>"
    )


def _bound(transaction: Operation) -> str:
    output = '<output><soap12:body use="literal"/></output>' if transaction.elements[1] else ""
    return (
        f'<operation name="{_name(transaction)}"><soap12:operation soapAction="{transaction.action}"/>'
        '<input><soap12:body use="literal"/></input>'
        f"{output}</operation>"
    )
