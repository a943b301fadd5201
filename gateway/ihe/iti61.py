"""ITI-61 Register On-Demand Document Entry (ITI TF-2: 3.61): entries whose documents are made when asked for."""

from collections.abc import Sequence

from gateway.codec.ebxml import RegistryError
from gateway.codec.ebxml_submit import SUBMIT
from gateway.ihe import iti42
from gateway.ihe._registering import RESPONSE, Asked, Changing, about_submission
from gateway.model.document import ON_DEMAND


def perform(asked: Asked) -> Sequence[RegistryError]:
    return iti42.register(asked, ON_DEMAND)


TRANSACTION = Changing(
    number="ITI-61",
    section="ITI TF-2: 3.61",
    name="Register On-Demand Document Entry",
    action="urn:ihe:iti:2010:RegisterOnDemandDocumentEntry",
    actors=("On-Demand Document Source", "Document Registry"),
    path="/xds/registry",
    elements=(SUBMIT, RESPONSE),
    event=("110107", "C"),
    perform=perform,
    about=about_submission,
    answered="urn:ihe:iti:2010:RegisterOnDemandDocumentResponse",  # so the published WSDL has it
)
