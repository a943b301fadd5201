"""May they? One pure decision (decision.py) over tables (mappings/policy) and the grants of the configuration."""

from gateway.services.policy.access import Access
from gateway.services.policy.decision import Asked, Decision, Grant, Policy, decide
from gateway.services.policy.tables import Act

__all__ = ["Access", "Act", "Asked", "Decision", "Grant", "Policy", "decide"]
