"""Which node is at the other end (ITI-19): the public key of its certificate is looked up in a table, and nothing else
of the certificate gives a right. A certificate may have passed the handshake and still be nobody's here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from gateway.codec import certificates
from gateway.codec.certificates import Revoked
from gateway.errors import UnknownNode


@dataclass(frozen=True, slots=True)
class Node:
    """A row of `[[security.nodes]]`."""

    id: str
    """homeCommunityId of its community."""
    name: str = ""
    communities: frozenset[str] = frozenset()
    """Those its assertions and tokens may speak for, its own among them; OIDs without prefix."""
    organizations: frozenset[str] = frozenset()
    """Empty: any."""
    transactions: frozenset[str] = frozenset()
    """Empty: any."""
    proxy: bool = False

    def speaks_for(self, community: str) -> bool:
        """LENIENT: homeCommunityId with or without urn:oid:, senders write both."""
        return community.removeprefix("urn:oid:") in self.communities

    def may(self, transaction: str) -> bool:
        return not self.transactions or transaction in self.transactions


def node_of(
    certificate: x509.Certificate, nodes: Mapping[str, Node], revoked: Revoked, now: datetime, *, strict: bool = True
) -> Node:
    """Raises UnknownNode. `strict`: without a list in force that covers the certificate's issuer nobody is known."""
    node = nodes.get(certificates.key_hash(certificate))
    if node is None:
        raise UnknownNode("the certificate is not registered here")
    if not certificates.valid_at(certificate, now):
        raise UnknownNode("the certificate is not valid today")
    if revoked.holds(certificate) or (strict and not revoked.speaks_of(certificate, now)):
        raise UnknownNode("the certificate is revoked, or no list in force says that it is not")
    if not certificates.may_be(certificate, certificates.CLIENT) or not certificates.strong(certificate):
        raise UnknownNode("the certificate is not one of a calling node")
    named = certificates.communities(certificate)
    if certificates.has_wildcard(certificate) or (named and node.id not in named):
        raise UnknownNode("the certificate names another node")
    return node
