"""Configuration of other portals, taken over: what it says becomes ours, line by line."""

from catalog.ingest.configuration.importing import import_configuration
from catalog.ingest.configuration.report import Line, Report, Status

__all__ = ["Line", "Report", "Status", "import_configuration"]
