"""Matching made for Japanese names (名寄せ): see matching.py."""

from gateway.services.matching.features import Features
from gateway.services.matching.matching import Matching

__all__ = ["Features", "Matching"]
