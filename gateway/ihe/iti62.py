"""ITI-62 Remove Metadata (ITI TF-2: 3.62): objects and associations taken out of the registry by id."""

from collections.abc import Sequence

from lxml import etree

from gateway.codec.ebxml import RIM, RegistryError
from gateway.codec.ebxml_submit import LCM, read_remove_objects
from gateway.ihe._registering import RESPONSE, Asked, Changing, about_objects
from gateway.ihe._soap import Audited
from gateway.services.registry.removing import remove_metadata


def perform(asked: Asked) -> Sequence[RegistryError]:
    ids = read_remove_objects(asked.body)
    remove_metadata(asked.registry, ids, lambda: asked.record(about_objects(ids), f"{len(ids)} removed"))
    return ()


def about(body: etree._Element) -> Audited:
    return about_objects([str(item.get("id", "")) for item in body.iter(f"{{{RIM}}}ObjectRef")])


TRANSACTION = Changing(
    number="ITI-62",
    section="ITI TF-2: 3.62",
    name="Remove Metadata",
    action="urn:ihe:iti:2010:DeleteDocumentSet",
    actors=("Document Administrator", "Document Registry"),
    path="/xds/registry",
    elements=(f"{{{LCM}}}RemoveObjectsRequest", RESPONSE),
    event=("110110", "D"),
    perform=perform,
    about=about,
)
