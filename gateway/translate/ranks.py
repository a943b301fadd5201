"""Which source owns a resource that several messages mention.

Patient comes from ADT-00 before other messages; allergies from ADT-00 or ADT-61 before the copies at the head of
prescriptions. 0 owns, 1 mentions, 2 knows no more than the number (a document of the extended storage); between equals
the newest source time wins (services/ingest).
"""

OWNERS = {"Patient": ("ADT-00",), "AllergyIntolerance": ("ADT-00", "ADT-61"), "Coverage": ("ADT-00",)}

SHARED = frozenset({"Patient", "Practitioner", "Organization", "AllergyIntolerance"})
"""Types that other messages also contribute to: deleting one file never deletes them from `convert`'s view."""

NUMBER_ONLY = 2
"""Rank of a Patient that is nothing but a number: it never hides one with a name."""


CORRECTION = -1
"""Rank of a record that is known to correct an earlier one: it is shown before the same record by itself."""


def rank(resource_type: str, data_type: str) -> int:
    owners = OWNERS.get(resource_type)
    return 0 if owners is None or data_type in owners else 1
