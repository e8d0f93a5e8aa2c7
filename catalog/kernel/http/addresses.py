"""Which addresses this server calls: public ones, and what the operator allows beside them.

The truth is what a name resolves to at the moment of dialling (`addresses_to_dial`); the checks
of a form only say it earlier. `IDP_HTTP_ALLOW` names what is private and still meant to be called.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network, ip_address, ip_network

import httpx2
from django.conf import settings

from catalog.kernel.allow_list import HOST_NAME, AllowList, Ip, Network, as_ip, read_allow_list
from catalog.kernel.errors import AddressRefused, UpstreamUnavailable, shorten
from catalog.kernel.http.masking import mask_url

# (host, port) -> addresses, in the order to try them; OSError when there are none.
Resolver = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class _Range:
    """Addresses that are refused unless allowed. is_own: this very machine or its link, which a
    wide network in the allow-list does not open by the way."""

    network: Network
    words: str
    is_own: bool = False


# The first that holds an address gives the reason.
_REFUSED = [
    _Range(ip_network(network), words, is_own)
    for network, words, is_own in (
        ("0.0.0.0/8", "this machine itself", True),
        ("127.0.0.0/8", "a loopback address", True),
        ("169.254.0.0/16", "a link-local address", True),
        ("10.0.0.0/8", "a private address", False),
        ("172.16.0.0/12", "a private address", False),
        ("192.168.0.0/16", "a private address", False),
        ("100.64.0.0/10", "an address of a carrier's own network", False),
        ("192.0.0.0/24", "a reserved address", False),
        ("192.0.2.0/24", "an address for documentation", False),
        ("192.88.99.0/24", "a 6to4 relay", False),
        ("198.18.0.0/15", "an address for benchmarks", False),
        ("198.51.100.0/24", "an address for documentation", False),
        ("203.0.113.0/24", "an address for documentation", False),
        ("224.0.0.0/4", "a multicast address", False),
        ("240.0.0.0/4", "a reserved address", False),
        ("::/128", "this machine itself", True),
        ("::1/128", "a loopback address", True),
        ("::/96", "an IPv4-compatible address", False),
        ("64:ff9b::/96", "a NAT64 address", False),
        ("64:ff9b:1::/48", "a NAT64 address", False),
        ("2001::/32", "a Teredo address", False),
        ("2002::/16", "a 6to4 address", False),
        ("fe80::/10", "a link-local address", True),
        ("fc00::/7", "a private address", False),
        ("fec0::/10", "a private address", False),
        ("ff00::/8", "a multicast address", False),
    )
]
_GLOBAL_IPV6 = IPv6Network("2000::/3")
# NAT64 twice, and IPv4-compatible; :: and ::1 among the last hold none.
_IPV4_AT_THE_END = [IPv6Network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")]

# What hands out a machine's credentials to whoever asks from it. No setting opens these.
_METADATA = frozenset(
    ip_address(address)
    for address in (
        "169.254.169.254",  # AWS, Google, Azure, Oracle, DigitalOcean, OpenStack, …
        "169.254.170.2",  # Amazon ECS
        "169.254.170.23",  # Amazon EKS
        "169.254.0.23",  # Tencent
        "169.254.42.42",  # Scaleway
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # Amazon EKS
        "fd20:ce::254",  # Google
        "fd00:42::42",  # Scaleway
    )
)
# By name too: behind a proxy it is not us who resolve.
_METADATA_NAMES = frozenset(
    {
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "metadata.azure.internal",
        "metadata.tencentyun.com",
        "instance-data",
        "instance-data.ec2.internal",
    }
)
_METADATA_WORDS = "a cloud's metadata service, which is never called"

_HINT = "An operator can allow it in IDP_HTTP_ALLOW."


def allowed() -> AllowList:
    """The operator's allow-list as it is now."""
    return read_allow_list(tuple(settings.IDP_HTTP_ALLOW))


def resolve(host: str, port: int) -> list[str]:
    """The addresses of `host` as the system gives them. Raises OSError when there are none.

    How long it may take is the system's setting (resolv.conf), not ours.
    """
    # As bytes: names are in ASCII already, and a second encoding has errors of its own.
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def refusal(address: str, host: str, allowed: AllowList) -> str | None:
    """Why `address`, which is what `host` leads to, is not called; None when it may be."""
    layers = list(_layers(ip_address(address.partition("%")[0])))
    if any(ip in _METADATA for ip in layers):
        return _METADATA_WORDS
    for ip in layers:
        found = next((one for one in _REFUSED if ip in one.network), None)
        if found is None and (not ip.is_global or (ip.version == 6 and ip not in _GLOBAL_IPV6)):
            found = _Range(ip_network(ip), "a reserved address")
        if found and not allowed.opens(ip, host, within=found.network, is_own=found.is_own):
            return found.words
    return None


def _layers(ip: Ip) -> Iterator[Ip]:
    """The address itself and the IPv4 addresses that a gateway may find inside it."""
    if isinstance(ip, IPv4Address):
        yield ip
    elif ip.ipv4_mapped:
        yield ip.ipv4_mapped  # the same address in another spelling
    else:
        yield ip
        if ip.sixtofour:
            yield ip.sixtofour
        elif ip.teredo:
            yield from ip.teredo
        elif any(ip in network for network in _IPV4_AT_THE_END) and int(ip) > 0xFFFF:
            yield IPv4Address(int(ip) & 0xFFFFFFFF)


def addresses_to_dial(host: str, port: int, resolver: Resolver = resolve) -> list[str]:
    """Resolve `host` once and return its addresses, all of which may be called.

    One bad address refuses the host: a name that leads both out and in is a mistake or an attack,
    and calling its good half would work or fail by the order of an answer.

    Raises AddressRefused, and OSError when the name is not known.
    """
    bare = _bare(host)
    if bare in _METADATA_NAMES:
        raise _refused(host, _METADATA_WORDS)
    addresses = list(resolver(host, port))
    for address in addresses:
        if reason := refusal(address, bare, allowed()):
            raise _refused(host, reason, address)
    if not addresses:
        raise OSError(f"{host} has no address")
    return addresses


def check_proxied(host: str) -> None:
    """Refuse what can be told without resolving: a proxy asks its own name server, not ours."""
    bare = _bare(host)
    if bare in _METADATA_NAMES:
        raise _refused(host, _METADATA_WORDS)
    address = as_ip(bare) or _as_ipv4(bare)
    if address and (reason := refusal(str(address), bare, allowed())):
        raise _refused(host, reason, str(address))


def parse_url(url: str, *, field: str = "url") -> httpx2.URL:
    """`url` as the client reads it. Raises AddressRefused for what it does not call at all."""

    def bad(message: str, hint: str = "") -> AddressRefused:
        details = {"field": field, "value": shorten(mask_url(url)), "expected": "http(s) URL"}
        return AddressRefused(f"{field}: {message}", hint=hint, details=details)

    try:
        parsed = httpx2.URL(url.strip())
    except (httpx2.InvalidURL, ValueError, TypeError):
        raise bad("this is not a URL", "Write it like https://api.example.com.") from None
    if parsed.scheme not in ("http", "https"):
        scheme = f'"{shorten(parsed.scheme, 20)}:"' if parsed.scheme else "no scheme"
        raise bad(f"the address has {scheme}; expected http: or https:")
    if parsed.userinfo:
        raise bad(
            "the address holds a user name or password",
            "Enter credentials in the fields made for them: addresses are shown.",
        )
    host = parsed.raw_host.decode("ascii")
    bare = _bare(host)
    if ":" in host:
        is_good = as_ip(host) is not None and "%" not in host  # no zone: that is for local links
    else:
        # With a dot at its end an address is no address, nor is it a name.
        is_good = bool(HOST_NAME.fullmatch(bare)) and (bare == host or _as_ipv4(bare) is None)
    if not is_good:
        raise bad(f'"{shorten(host, 60)}" is not a host name')
    if not 1 <= port_of(parsed) <= 65_535:
        raise bad(f"the port is {parsed.port}; expected 1 to 65535")
    return parsed


def check_address(url: str, field: str = "url", *, resolver: Resolver = resolve) -> None:
    """Say at save what the client would refuse at dial time. A name that does not resolve passes:
    the name server may be away now, and dialling checks again.

    Raises AddressRefused with `field` in its details.
    """
    try:
        _check(url, field, resolver)
    except OSError:
        return


def check_endpoint(url: str, field: str = "url", *, resolver: Resolver = resolve) -> None:
    """Check an address for a library that dials by itself; call it right before.

    It is weaker than the client: the library resolves the name again.

    Raises AddressRefused, and UpstreamUnavailable when the name does not resolve.
    """
    try:
        _check(url, field, resolver)
    except OSError as error:
        raise UpstreamUnavailable(
            f"{shorten(mask_url(url))} was not reached: {error.strerror or error}"
        ) from error


def _check(url: str, field: str, resolver: Resolver) -> None:
    parsed = parse_url(url, field=field)
    host = parsed.raw_host.decode("ascii")
    try:
        if is_proxied(host):
            check_proxied(host)
        else:
            addresses_to_dial(host, port_of(parsed), resolver)
    except AddressRefused as error:
        error.message = f"{field}: {error.message}"
        error.details |= {"field": field, "value": shorten(mask_url(url))}
        raise


def is_proxied(host: str) -> bool:
    """Whether calls to `host` go through IDP_HTTP_PROXY: all but what the allow-list names, which
    is inside and dialled by ourselves."""
    return bool(settings.IDP_HTTP_PROXY) and not allowed().names(_bare(host))


def port_of(url: httpx2.URL) -> int:
    if url.port is not None:
        return url.port
    return 443 if url.scheme == "https" else 80


def _as_ipv4(host: str) -> IPv4Address | None:
    """The IPv4 address in any spelling: dotted, decimal, octal, hexadecimal, short."""
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _bare(host: str) -> str:
    return host.lower().rstrip(".")


def _refused(host: str, reason: str, address: str = "") -> AddressRefused:
    leads = f"{host} leads to {address}" if address and address != host else host
    verb = "," if address and address != host else " is"
    hint = "" if reason == _METADATA_WORDS else _HINT
    message = f"{leads}{verb} {reason}"
    if hint:
        message += ", which this server does not call"
    details = {"value": host, **({"address": address} if address else {})}
    return AddressRefused(message, hint=hint, details=details)
