"""The policy of a configuration file. Raises ConfigurationError for words nobody knows."""

from gateway.errors import ConfigurationError
from gateway.services.policy.decision import Grant, Policy
from gateway.services.policy.syntax import type_filter
from gateway.services.policy.tables import purpose_of, same_role
from gateway.settings import GrantSettings, Settings


def policy_of(settings: Settings) -> Policy:
    grants = tuple(_grant(one) for one in settings.security.grants)
    nodes = getattr(settings.security, "nodes", ())
    agreements = {node.id: frozenset(limits) for node in nodes if (limits := getattr(node, "transactions", ()))}
    return Policy(grants, settings.consent.default == "permit", agreements)


def _grant(one: GrantSettings) -> Grant:
    purposes = {word: purpose_of(word) for word in one.purposes}
    if unknown := [word for word, purpose in purposes.items() if not purpose]:
        raise ConfigurationError(f"grants.purposes: {', '.join(unknown)}: no such purpose of use")
    return Grant(
        same_role(one.role),
        frozenset(purposes.values()),
        frozenset(one.actions),
        tuple(type_filter(word) for word in one.types),
        one.confidentiality,
        one.relation == "required",
    )
