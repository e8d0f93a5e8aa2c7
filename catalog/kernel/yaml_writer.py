"""JSON values as YAML that people like to read, and that every YAML 1.1 or 1.2 reader takes for
the same values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from catalog.kernel.yaml_scalars import resolve, resolve_1_1

_STR = "tag:yaml.org,2002:str"
WIDTH = 100


def write_yaml(value: Any, *, width: int = WIDTH) -> str:
    """One document; keys stay in their order, texts of several lines become blocks."""
    text: str = yaml.dump(value, **_options(width))
    return text


def write_yaml_documents(values: Iterable[Any], *, width: int = WIDTH) -> str:
    """Several documents in one text, each behind its `---`."""
    text: str = yaml.dump_all(values, explicit_start=True, **_options(width))
    return text


def _options(width: int) -> dict[str, Any]:
    return {"Dumper": _Dumper, "sort_keys": False, "allow_unicode": True, "width": width}


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Descriptors are read by people: no anchors where two values happen to be one object."""
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = None
    if "\n" in value:
        style = "|"
    elif not isinstance(resolve(value), str) or (value and not isinstance(resolve_1_1(value), str)):
        style = "'"  # PyYAML quotes what YAML 1.1 would misread; the newer rules differ
    return dumper.represent_scalar(_STR, value, style=style)


_Dumper.add_representer(str, _text)
