"""AWS: accounts and what runs in them."""

from catalog.ingest.sources.aws.kind import Aws

__all__ = ["Aws"]
