"""The operator's list of what is private and still meant to be called (IDP_HTTP_ALLOW)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from catalog.kernel.errors import InvalidInput, shorten

Ip = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]+(\.[a-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class AllowList:
    """What is opened. hosts, suffixes: lower case; a suffix begins with its dot."""

    hosts: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    def names(self, host: str) -> bool:
        """Whether `host`, a name or an address, is listed; what it resolves to is not asked."""
        if host in self.hosts or host.endswith(self.suffixes):
            return True
        ip = as_ip(host)
        return ip is not None and any(ip in network for network in self.networks)

    def opens(self, ip: Ip, host: str, *, within: Network, is_own: bool) -> bool:
        """Whether `ip`, which `host` leads to and which lies in the closed range `within`, is open.

        is_own: the range is this machine or its link, which only an exact host or a network
        inside the range opens: `*.example.com` and `0.0.0.0/0` do not mean it.
        """
        if host in self.hosts or (host.endswith(self.suffixes) and not is_own):
            return True
        return any(
            ip in network and (not is_own or _is_inside(network, within))
            for network in self.networks
        )


@lru_cache(maxsize=32)
def read_allow_list(entries: tuple[str, ...]) -> AllowList:
    """The allow-list of `entries`: host names, `*.suffix`, addresses and networks.

    Raises InvalidInput naming the first entry that is none of these.
    """
    hosts, suffixes, networks = set(), [], []
    for entry in entries:
        text = entry.strip().lower().rstrip(".")
        try:
            networks.append(ip_network(text.strip("[]")))
            continue
        except ValueError:
            pass
        name = text.removeprefix("*.")
        # A name that ends in digits is an address that was mistyped.
        if not HOST_NAME.fullmatch(name) or name.rpartition(".")[2].isdigit():
            raise InvalidInput(
                f'"{shorten(entry)}" is none of: a host name (git.example.com), *.example.com, '
                "an address (10.0.0.7), a network (10.0.0.0/8)",
                details={"value": shorten(entry)},
            )
        if text.startswith("*."):
            suffixes.append(f".{name}")
        else:
            hosts.add(name)
    return AllowList(frozenset(hosts), tuple(suffixes), tuple(networks))


def as_ip(host: str) -> Ip | None:
    """`host` as an address; None when it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_inside(inner: Network, outer: Network) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)
