"""ITI-92 Restricted Update Document Set (IHE ITI RMU supplement, 3.92): new versions of documents' metadata.

The published WSDL has a bare SubmitObjectsRequest; one wrapped in RestrictedUpdateDocumentSetRequest is read too.
"""

from collections.abc import Sequence

from gateway.codec.ebxml import RegistryError
from gateway.codec.ebxml_submit import RMU, SUBMIT, read_wrapped
from gateway.ihe import iti57
from gateway.ihe._registering import RESPONSE, Asked, Changing, about_submission


def perform(asked: Asked) -> Sequence[RegistryError]:
    metadata = read_wrapped(asked.body, f"{{{RMU}}}RestrictedUpdateDocumentSetRequest")
    return iti57.change(asked, metadata, restricted=True)


TRANSACTION = Changing(
    number="ITI-92",
    section="ITI TF-2: 3.92",
    name="Restricted Update Document Set",
    action="urn:ihe:iti:2018:RestrictedUpdateDocumentSet",
    actors=("Update Initiator", "Update Responder"),
    path="/xds/registry",
    elements=(SUBMIT, RESPONSE),
    event=("110107", "U"),
    perform=perform,
    about=about_submission,
)
