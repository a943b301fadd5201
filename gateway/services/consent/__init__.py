"""Consents: read, recorded, and turned into rules."""

from gateway.services.consent.service import ConsentDesk

__all__ = ["ConsentDesk"]
