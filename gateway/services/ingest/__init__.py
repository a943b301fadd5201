"""From SS-MIX2 storage roots (SS-MIX2 標準化ストレージ) into the store."""

from gateway.services.ingest.deriving import derivations
from gateway.services.ingest.messages import ReadingRules
from gateway.services.ingest.reading import Reader
from gateway.services.ingest.run import Ingestor
from gateway.services.ingest.summary import Summary

__all__ = ["Ingestor", "Reader", "ReadingRules", "Summary", "derivations"]
