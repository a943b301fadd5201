"""FHIR R4 and JP Core checks compiled from rule tables."""
