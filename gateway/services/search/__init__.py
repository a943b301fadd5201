"""FHIR search (R4 3.1.1): what is indexed when a resource is stored, and what a query string asks for."""

from gateway.services.search.index import index
from gateway.services.search.parameters import PARAMETERS, TYPES
from gateway.services.search.plan import Search, plan
from gateway.services.search.values import SearchRules, system_aliases

__all__ = ["PARAMETERS", "TYPES", "Search", "SearchRules", "index", "plan", "system_aliases"]
