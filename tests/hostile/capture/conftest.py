"""A tenant, a reader and a database of each test's own on the running stack."""

from support.capture_fixtures import database, records, scratch, tenant

__all__ = ["database", "records", "scratch", "tenant"]
