"""ITI-86 Remove Documents (IHE ITI RMD supplement, 3.86): documents taken out of the repository."""

from collections.abc import Sequence

from lxml import etree

from gateway.codec import xml
from gateway.codec.ebxml import XDS, RegistryError
from gateway.codec.ebxml_read import read_requests
from gateway.codec.ebxml_submit import RMD
from gateway.ihe._registering import RESPONSE, Asked, Changing, about_objects, submission_error
from gateway.ihe._soap import Audited
from gateway.services.documents import check_home
from gateway.services.registry.removing import remove_documents

REQUEST = f"{{{RMD}}}RemoveDocumentsRequest"


def perform(asked: Asked) -> Sequence[RegistryError]:
    requests = read_requests(asked.body, REQUEST)
    for one in requests:
        check_home(asked.services, one.homeCommunityId, required=False)
    wanted = [(one.repositoryUniqueId, one.documentUniqueId) for one in requests]
    about = about_objects([unique_id for _, unique_id in wanted])
    remove_documents(asked.registry, wanted, lambda: asked.record(about, f"{len(wanted)} removed"))
    return ()


def about(body: etree._Element) -> Audited:
    return about_objects([xml.text_of(node) for node in body.iter(f"{{{XDS}}}DocumentUniqueId")])


TRANSACTION = Changing(
    number="ITI-86",
    section="ITI TF-2: 3.86",
    name="Remove Documents",
    action="urn:ihe:iti:2017:RemoveDocuments",
    actors=("Document Administrator", "Document Repository"),
    path="/xds/repository",
    elements=(REQUEST, RESPONSE),
    event=("110110", "D"),
    perform=perform,
    about=about,
    refuse=submission_error,
)
