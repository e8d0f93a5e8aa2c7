"""What is called and what is not, in every spelling that was ever tried."""

import socket

import pytest

from catalog.kernel.allow_list import read_allow_list
from catalog.kernel.errors import AddressRefused, InvalidInput, UpstreamUnavailable
from catalog.kernel.http import Client, check_address, check_endpoint
from tests.vendors import Vendor

PUBLIC = "93.184.215.14"


def always(*addresses: str):
    """A name server that says the same of every name, and leaves addresses to the system."""

    def resolver(host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        except OSError:
            return list(addresses)
        return [str(info[4][0]) for info in found]

    return resolver


@pytest.fixture(autouse=True)
def _nothing_allowed(settings):
    settings.IDP_HTTP_ALLOW = []
    settings.IDP_HTTP_PROXY = ""


REFUSED = [
    # this machine
    "http://127.0.0.1/",
    "http://127.8.9.10:6379/",
    "http://0.0.0.0/",
    "http://0/",
    "http://[::1]/",
    "http://[::]/",
    # the same in decimal, hexadecimal, octal, short
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.0.0.1./",
    # the same inside IPv6
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::8.8.8.8]/",
    "http://[64:ff9b:1::10.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:808:808::]/",
    "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    # private, local, carriers', reserved
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.254/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://169.254.1.1/",
    "http://192.0.0.1/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://198.51.100.7/",
    "http://203.0.113.7/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[fd12:3456::1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://[4000::1]/",
    # metadata
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://metadata.google.internal/",
    "http://METADATA.google.internal./",
    # digits that are not ASCII
    "http://①②⑦.⓪.⓪.①/",
    "http://１２７.０.０.１/",
    "http://127。0。0。1/",
    # whose host is it?
    "http://example.com@127.0.0.1/",
    "http://user:password@api.example.com/",
    "http://127.0.0.1#@api.example.com/",
    "http://127.0.0.1?@api.example.com/",
    "http://api.example.com\\@127.0.0.1/",
    "http://127.0.0.1\\.example.com/",
    "http://127.0.0.1%2f.example.com/",
    "http://%31%32%37.0.0.1/",
    "http://[127.0.0.1]/",
    # no web address
    "file:///etc/passwd",
    "ftp://api.example.com/",
    "gopher://127.0.0.1:6379/_PING",
    "unix:///var/run/docker.sock",
    "data:text/plain,x",
    "//127.0.0.1/",
    "127.0.0.1",
    "http:///path",
    "http://api.example.com:99999999/",
    "http://api.exa\nmple.com/",
    "http://[::1/",
    "",
]


@pytest.mark.parametrize("url", REFUSED)
def test_refused_in_a_form_and_by_the_client(url, settings):
    # Nothing answers at the public address of the names; a call would fail in another way.
    resolver = always(PUBLIC)
    with pytest.raises(AddressRefused) as at_save:
        check_address(url, "host", resolver=resolver)
    assert at_save.value.details["field"] == "host"
    assert at_save.value.message.startswith("host: ")
    assert "password" not in str(at_save.value.details)
    with Client(resolver=resolver, retries=0) as client, pytest.raises(AddressRefused):
        client.get(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/",
        "http://API.Example.COM.:8080/x?y#z",
        "https://bücher.example/",
        "http://93.184.215.14:22/",
        "http://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
        "http://172.32.0.1/",
        "http://100.63.255.255/",
    ],
)
def test_public_addresses_pass_on_any_port(url):
    check_address(url, resolver=always(PUBLIC))


@pytest.mark.parametrize(
    ("_case", "allow", "url", "is_open"),
    [
        ("a network", "10.0.0.0/8", "http://10.1.2.3/", True),
        ("another network", "10.0.0.0/8", "http://192.168.0.1/", False),
        ("one address", "10.1.2.3", "http://10.1.2.3/", True),
        ("in another spelling", "10.1.2.3", "http://[::ffff:10.1.2.3]/", True),
        ("in decimal", "10.1.2.3", "http://167838211/", True),
        ("IPv6", "fd00::/8", "http://[fd12::1]/", True),
        ("a host", "git.corp.example", "http://git.corp.example/", True),
        ("its capitals and dot", "git.corp.example", "http://GIT.corp.example./", True),
        ("another host", "git.corp.example", "http://ci.corp.example/", False),
        ("a suffix", "*.corp.example", "http://ci.corp.example/", True),
        ("not the suffix itself", "*.corp.example", "http://corp.example/", False),
        ("not what ends alike", "*.corp.example", "http://evilcorp.example/", False),
        ("everything private", "0.0.0.0/0", "http://10.1.2.3/", True),
        ("but not this machine", "0.0.0.0/0", "http://127.0.0.1/", False),
        ("but not its link", "::/0", "http://[fe80::1]/", False),
        ("this machine by network", "127.0.0.0/8", "http://127.0.0.1/", True),
        ("this machine by name", "localhost", "http://localhost/", True),
        ("NAT64 to the public", "64:ff9b::/96", "http://[64:ff9b::8.8.8.8]/", True),
        ("NAT64 to the private", "64:ff9b::/96", "http://[64:ff9b::10.0.0.1]/", False),
        ("metadata", "169.254.0.0/16", "http://169.254.169.254/", False),
        ("metadata by address", "169.254.169.254", "http://169.254.169.254/", False),
        ("metadata by name", "metadata.google.internal", "http://metadata.google.internal/", False),
        ("metadata in NAT64", "64:ff9b::/96,169.254.0.0/16", "http://[64:ff9b::a9fe:a9fe]", False),
    ],
)
def test_the_operator_opens_what_is_private_and_never_metadata(
    settings, _case, allow, url, is_open
):
    settings.IDP_HTTP_ALLOW = allow.split(",")
    resolver = always("127.0.0.1" if "localhost" in url else "10.9.9.9")
    if is_open:
        check_address(url, resolver=resolver)
    else:
        with pytest.raises(AddressRefused):
            check_address(url, resolver=resolver)


def test_an_allowed_suffix_does_not_open_this_machine(settings):
    settings.IDP_HTTP_ALLOW = ["*.corp.example"]
    with pytest.raises(AddressRefused, match="loopback"):
        check_address("http://x.corp.example/", resolver=always("127.0.0.1"))


@pytest.mark.parametrize(
    "entry", ["http://10.0.0.1", "10.0.0.1/8", "10.0.0.256", "a b", "*", "x:80"]
)
def test_what_the_allow_list_does_not_understand_is_named(entry):
    with pytest.raises(InvalidInput) as caught:
        read_allow_list(("10.0.0.0/8", entry))
    assert entry in str(caught.value)


def test_a_name_that_leads_out_and_in_is_refused_whole():
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1, a private address"):
        check_address("http://both.example/", resolver=always(PUBLIC, "10.0.0.1"))


def test_a_name_that_changes_its_mind_after_the_check_is_refused_at_dialling(vendor, settings):
    settings.IDP_HTTP_ALLOW = []
    answers = iter([[PUBLIC], ["127.0.0.1"]])

    def resolver(host: str, port: int) -> list[str]:
        return next(answers)

    url = vendor.url.replace("127.0.0.1", "rebinding.example")
    check_address(url, resolver=resolver)
    with Client(resolver=resolver) as client, pytest.raises(AddressRefused, match="loopback"):
        client.get(f"{url}/user")
    assert vendor.calls == []


def test_the_address_that_was_checked_is_the_one_that_is_dialled(vendor):
    asked = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    vendor.json("/user", {"login": "ada"})
    url = vendor.url.replace("127.0.0.1", "once.example")
    with Client(resolver=resolver) as client:
        assert client.get_json(f"{url}/user") == {"login": "ada"}
    assert asked == ["once.example"]
    assert vendor.calls[0].headers["host"] == url.removeprefix("http://")


def test_a_dead_address_of_several_is_passed_over(vendor, settings):
    settings.IDP_HTTP_ALLOW = ["127.0.0.1", "::1"]
    vendor.json("/user", {"login": "ada"})
    url = vendor.url.replace("127.0.0.1", "two.example")
    # Nothing listens on the first one: the vendor is bound to 127.0.0.1 alone.
    with Client(resolver=always("::1", "127.0.0.1"), retries=0) as client:
        assert client.get_json(f"{url}/user") == {"login": "ada"}


def test_a_name_that_does_not_resolve_passes_a_form_and_no_call():
    def resolver(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    check_address("https://new.example/", resolver=resolver)
    with pytest.raises(UpstreamUnavailable, match="Name or service not known"):
        check_endpoint("https://new.example/", resolver=resolver)
    with (
        Client(resolver=resolver, retries=0) as client,
        pytest.raises(UpstreamUnavailable, match="does not resolve"),
    ):
        client.get("https://new.example/")


def test_behind_a_proxy_what_can_be_told_is_still_refused(vendor: Vendor, settings):
    settings.IDP_HTTP_PROXY = vendor.url
    settings.IDP_HTTP_ALLOW = ["*.corp.example", "127.0.0.1"]
    vendor.json("/who", {"is": "the proxy"})

    def resolver(host: str, port: int) -> list[str]:
        # All others are the proxy's to resolve.
        return {"ci.corp.example": [PUBLIC], "127.0.0.1": ["127.0.0.1"]}[host]

    with Client(resolver=resolver) as client:
        assert client.get_json("http://api.example.com/who") == {"is": "the proxy"}
        assert vendor.calls[0].headers["host"] == "api.example.com"
        for url in (
            "http://10.0.0.1/",
            "http://167838211/",
            "http://[::1]/",
            "http://169.254.169.254/",
            "http://metadata.google.internal/",
        ):
            with pytest.raises(AddressRefused):
                client.get(url)
            with pytest.raises(AddressRefused):
                check_address(url)
        check_address("http://ci.corp.example/", resolver=resolver)
        assert client.get_json(f"{vendor.url}/who") == {"is": "the proxy"}  # inside: direct
    assert len(vendor.calls) == 2
