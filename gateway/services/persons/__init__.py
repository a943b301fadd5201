"""Persons behind PIX, PDQ, XCPD and their FHIR twins: one index, whatever wire asks."""

from gateway.services.persons.desk import Desk
from gateway.services.persons.service import Persons

__all__ = ["Desk", "Persons"]
