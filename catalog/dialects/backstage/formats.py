"""The formats of single fields: names, namespaces, label keys, tags, URLs.

Lengths are in characters and patterns match the whole text. Each check takes text only.
"""

from __future__ import annotations

import ipaddress
import re

_NAME = re.compile(r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_DNS_LABEL = re.compile(r"[a-z0-9]+(?:-+[a-z0-9]+)*")
_KIND = re.compile(r"[a-zA-Z][a-zA-Z0-9]*")
_VERSION = re.compile(r"[a-zA-Z0-9]+")
_TAG = re.compile(r"[a-z0-9:+#]+(?:-[a-z0-9:+#]+)*")

NAME = "1 to 63 letters, digits and - _ . with a letter or digit at both ends"
NAMESPACE = "1 to 63 lower-case letters and digits, in parts joined by -"
KIND = "1 to 63 letters and digits, a letter first"
API_VERSION = "version or prefix/version, the prefix a lower-case domain name"
KEY = "name or prefix/name, the prefix a lower-case domain name"
LABEL_VALUE = f"empty or {NAME}"
TAG = "1 to 63 lower-case letters, digits and : + #, in parts joined by a single -"
URL = "an absolute URL such as https://example.com/page"


def is_name(text: str) -> bool:
    return len(text) <= 63 and _NAME.fullmatch(text) is not None


def is_dns_label(text: str) -> bool:
    return len(text) <= 63 and _DNS_LABEL.fullmatch(text) is not None


def is_kind(text: str) -> bool:
    return len(text) <= 63 and _KIND.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    return len(text) <= 63 and _TAG.fullmatch(text) is not None


def is_api_version(text: str) -> bool:
    prefix, slash, version = text.rpartition("/")
    return (
        (not slash or _is_dns_subdomain(prefix))
        and len(version) <= 63
        and _VERSION.fullmatch(version) is not None
    )


def is_key(text: str) -> bool:
    """A label or annotation key."""
    prefix, slash, name = text.rpartition("/")
    return (not slash or _is_dns_subdomain(prefix)) and is_name(name)


def is_label_value(text: str) -> bool:
    return not text or is_name(text)


def _is_dns_subdomain(text: str) -> bool:
    return 1 <= len(text) <= 253 and all(is_dns_label(label) for label in text.split("."))


# --- URLs -------------------------------------------------------------------------------------

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]*):(.*)", re.S)
_EDGES = "".join(map(chr, range(0x21)))  # control characters and the space
_NO_HOST = re.compile(r"[\x00-\x20#/:<>?@\[\\\]^|]")
_NO_DOMAIN = re.compile(r"[\x00-\x20#%/:<>?@\[\\\]^|\x7f]")
_PERCENT = re.compile(r"%([0-9a-fA-F]{2})")
_NEEDS_HOST = frozenset(["http", "https", "ws", "wss", "ftp"])


def is_absolute_url(text: str) -> bool:
    """Whether a browser takes the text for a URL that stands on its own (WHATWG's rules)."""
    text = re.sub(r"[\t\n\r]", "", text.strip(_EDGES))
    match = _SCHEME.fullmatch(text)
    if not match:
        return False
    scheme, rest = match[1].lower(), match[2]
    if scheme in _NEEDS_HOST:
        return _is_authority(re.split(r"[/\\?#]", rest.lstrip("/\\"), maxsplit=1)[0], True)
    if scheme != "file" and rest.startswith("//"):
        authority = re.split(r"[/?#]", rest[2:], maxsplit=1)[0]
        return not authority or _is_authority(authority, False)
    return True


def _is_authority(authority: str, is_domain: bool) -> bool:
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        inner, bracket, port = host[1:].partition("]")
        try:
            ipaddress.IPv6Address(inner)
        except ValueError:
            return False
        return bool(bracket) and (not port or (port[0] == ":" and _is_port(port[1:])))
    host, _, port = host.partition(":")
    if not _is_port(port):
        return False
    if not is_domain:
        return bool(host) and not _NO_HOST.search(host)
    host = _PERCENT.sub(lambda m: chr(int(m[1], 16)), host)
    return bool(host) and not _NO_DOMAIN.search(host) and _is_possible_ipv4(host)


def _is_port(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and int(text[:9]) <= 65535)


def _is_possible_ipv4(host: str) -> bool:
    """A host whose last part is a number must be an IPv4 address in one of its spellings."""
    parts = host.removesuffix(".").split(".")
    if not re.fullmatch(r"[0-9]+|0[xX][0-9a-fA-F]*", parts[-1]):
        return True
    try:
        numbers = [_ipv4_number(part) for part in parts]
    except ValueError:
        return False
    return (
        len(numbers) <= 4
        and all(number <= 255 for number in numbers[:-1])
        and numbers[-1] < 256 ** (5 - len(numbers))
    )


def _ipv4_number(text: str) -> int:
    if text[:2].lower() == "0x":
        return int(text[2:] or "0", 16)
    return int(text, 8 if len(text) > 1 and text[0] == "0" else 10)
