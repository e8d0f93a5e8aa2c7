"""Backstage's `app-config.yaml`: substituted and merged, each value with its file and line."""

from catalog.dialects.backstage.config.durations import every, seconds
from catalog.dialects.backstage.config.entry import Entry
from catalog.dialects.backstage.config.files import ConfigFiles, FilesGiven, FilesOnDisk
from catalog.dialects.backstage.config.loading import Config, load, merged
from catalog.dialects.backstage.config.tree import Leaf, Node, Replaced

__all__ = [
    "Config",
    "ConfigFiles",
    "Entry",
    "FilesGiven",
    "FilesOnDisk",
    "Leaf",
    "Node",
    "Replaced",
    "every",
    "load",
    "merged",
    "seconds",
]
