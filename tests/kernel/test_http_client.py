"""The client on good days and bad ones, over real sockets."""

import gzip
import logging
import socket
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from catalog.kernel.errors import (
    AddressRefused,
    InvalidInput,
    UpstreamError,
    UpstreamNotFound,
    UpstreamRefused,
    UpstreamUnavailable,
)
from catalog.kernel.http import CacheEtags, Client, mask_url
from catalog.kernel.http.responses import words_of
from catalog.kernel.http.waiting import asked_wait_s, is_limited
from tests.vendors import Answer, Vendor, failing, garbage, hang_up, limited, refused, slow

TOKEN = "ghp_unspeakable"


@pytest.fixture
def client(vendor: Vendor) -> Iterator[Client]:
    with Client(base_url=vendor.url, headers={"Authorization": f"Bearer {TOKEN}"}) as one:
        yield one


# Asking


def test_addresses_parameters_and_bodies_go_out_as_meant(vendor: Vendor, client: Client):
    @vendor.route("/v4/projects/group%2Fname/issues", method="POST")
    def _(call):
        return {"got": call.json(), "type": call.headers["content-type"]}

    with_params = client.with_(base_url=f"{vendor.url}/v4/", params={"per_page": 50, "none": None})
    answer = with_params.post(
        "/projects/group%2Fname/issues?state=open",
        params={"labels[]": ["a b", "ü"], "archived": False},
        json={"title": "x"},
        headers={"Accept": "application/json"},
    )
    assert answer.json() == {"got": {"title": "x"}, "type": "application/json"}
    [call] = vendor.calls
    assert call.query == {"state": "open", "per_page": "50", "labels[]": "ü", "archived": "false"}
    assert call.headers["authorization"] == f"Bearer {TOKEN}"
    assert call.headers["accept"] == "application/json"
    assert call.headers["user-agent"] == "idp"


def test_pages_are_walked_by_their_links(vendor: Vendor, client: Client):
    vendor.pages("/repos", list(range(7)), size=3)
    seen, url = [], "/repos"
    while url:
        page = client.get(url)
        seen += page.json()
        url = page.links.get("next", "")
    assert seen == list(range(7))
    assert vendor.paths == ["GET /repos", "GET /repos?page=2", "GET /repos?page=3"]


def test_credentials_stay_with_the_origin_they_are_for(vendor: Vendor, client: Client):
    client = client.with_(params={"private_token": TOKEN}, headers={"Accept": "text/x"})
    other = Vendor()
    other.json("/x", {})
    client.get(f"{other.url}/x")
    other.close()
    [call] = other.calls
    assert call.query == {}
    assert "authorization" not in call.headers
    assert call.headers["accept"] == "text/x"


# Trouble


@pytest.mark.parametrize(
    ("_case", "trouble"),
    [
        ("500 twice", [failing(), failing()]),
        ("502, 503, 504", [failing(502), failing(503), failing(504)]),
        ("hung up twice", [hang_up(), hang_up()]),
        ("a limit", [limited(after=0.01)]),
        ("a limit that asks for no wait", [limited(after=0)]),
        ("403 for a limit", [limited(after="", status=403, x_ratelimit_remaining="0",
                                     x_ratelimit_reset="0")]),
        ("503 with Retry-After", [Answer(503, {}, {"retry-after": "0.01"})]),
    ],
)  # fmt: skip
def test_what_passes_is_waited_out(vendor: Vendor, client: Client, _case, trouble):
    vendor.json("/user", {"login": "ada"})
    vendor.trouble("/user", *trouble)
    assert client.get_json("/user") == {"login": "ada"}
    assert len(vendor.calls) == len(trouble) + 1


@pytest.mark.parametrize(
    ("_case", "trouble", "error", "message", "calls"),
    [
        ("401", refused(), UpstreamRefused, "answered 401: Bad credentials", 1),
        ("403", refused(403, "No scope"), UpstreamRefused, "answered 403: No scope", 1),
        ("404", failing(404, "Not Found"), UpstreamNotFound, "answered 404: Not Found", 1),
        ("422", failing(422, "q is missing"), UpstreamError, "answered 422: q is missing", 1),
        ("500 for good", failing(), UpstreamUnavailable, "answered 500: Something broke", 3),
        ("gone for good", hang_up(), UpstreamUnavailable, "Server disconnected", 3),
        ("an hour's limit", limited(after=3600), UpstreamUnavailable, "try again in 3600 s", 1),
        ("not JSON", garbage(), UpstreamError, "not JSON: <html>not JSON</html>", 1),
    ],
)
def test_what_does_not_pass_is_said_in_its_own_words(
    vendor: Vendor, client: Client, _case, trouble, error, message, calls
):
    vendor.trouble("/user", trouble, times=9)
    with pytest.raises(error) as caught:
        client.with_(retries=2).get_json("/user?token=abcdefgh")
    assert type(caught.value) is error
    assert message in str(caught.value)
    assert f"GET {vendor.url}/user?token=***" in str(caught.value)
    assert len(vendor.calls) == calls


def test_what_may_have_been_done_is_not_done_twice(vendor: Vendor, client: Client):
    vendor.json("/runs", {}, method="POST")
    vendor.trouble("/runs", failing(), hang_up(), failing())
    for _ in range(2):
        with pytest.raises(UpstreamUnavailable):
            client.post("/runs", json={})
    assert len(vendor.calls) == 2
    assert client.post("/runs", json={}, retry=True).status == 200
    vendor.trouble("/runs", limited(after=0.01))  # refused, so nothing was done
    assert client.post("/runs", json={}).status == 200


def test_statuses_that_are_answers(vendor: Vendor, client: Client):
    assert client.get("/nothing", expect=(200, 404)).status == 404


def test_a_slow_answer_and_a_dripping_one_come_to_an_end(vendor: Vendor, client: Client):
    vendor.json("/user", {})
    vendor.trouble("/user", slow(0.4))
    with pytest.raises(UpstreamUnavailable, match=r"no answer within 0\.1 s"):
        client.with_(timeout_s=0.1, retries=0).get("/user")
    server = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            for letter in b"HTTP/1.1 200 OK\r\n" + b"x-header: y\r\n" * 50:
                try:
                    connection.send(bytes([letter]))
                except OSError:
                    return
                time.sleep(0.02)

    threading.Thread(target=drip, daemon=True).start()
    began_at = time.monotonic()
    with server, pytest.raises(UpstreamUnavailable, match="the whole answer took too long"):
        client.with_(deadline_s=0.2, retries=0).get(f"http://127.0.0.1:{server.getsockname()[1]}/")
    assert time.monotonic() - began_at < 1


def test_a_wait_is_told_and_can_be_given_up(vendor: Vendor, client: Client):
    class GivenUp(Exception):
        pass

    told = []

    def on_wait(wait: Any) -> None:
        told.append((str(wait), wait.is_first))
        if len(told) == 2:
            raise GivenUp

    vendor.trouble("/user", limited(after=42))
    patient = client.with_(on_wait=on_wait, max_wait_s=60)
    with pytest.raises(GivenUp):
        patient.get("/user")
    assert told == [
        ("Waiting 42 s: rate limit of 127.0.0.1", True),
        ("Waiting 42 s: rate limit of 127.0.0.1", False),
    ]


# Size


def _bomb() -> bytes:
    return gzip.compress(b"\0" * 30_000_000, 1, mtime=0)


@pytest.mark.parametrize(
    ("_case", "body", "headers"),
    [
        ("announced", b"x" * 2_000_000, {}),
        ("gzip bomb", _bomb(), {"content-encoding": "gzip"}),
        ("deflate bomb", zlib.compress(b"\0" * 30_000_000, 1), {"content-encoding": "deflate"}),
    ],
)
def test_an_answer_that_is_too_large_costs_no_memory(vendor, client, _case, body, headers):
    vendor.text("/bomb", body, headers=headers)
    tracemalloc.start()
    try:
        with pytest.raises(UpstreamError, match="answered with more than 1,000,000 bytes"):
            client.with_(max_bytes=1_000_000).get("/bomb")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12_000_000


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b'{"a": 1}', mtime=0)),
        ("gzip", gzip.compress(b'{"a"', mtime=0) + gzip.compress(b": 1}", mtime=0)),
        ("deflate", zlib.compress(b'{"a": 1}')),
        ("deflate", zlib.compress(b'{"a": 1}', wbits=-15)),
        ("identity", b'{"a": 1}'),
    ],
)
def test_packed_answers_are_unpacked(vendor, client, encoding, body):
    vendor.text("/x", body, headers={"content-encoding": encoding})
    assert client.get_json("/x") == {"a": 1}


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", gzip.compress(b"x" * 999, mtime=0)[:-9]), ("gzip", b"x"), ("br", b"x")],
)
def test_answers_packed_wrongly_are_no_answers(vendor, client, encoding, body):
    vendor.text("/x", body, headers={"content-encoding": encoding})
    with pytest.raises(UpstreamUnavailable, match="packed"):
        client.with_(retries=0).get("/x")


def test_a_download_goes_to_a_file_or_leaves_none(vendor, client, tmp_path: Path):
    content = bytes(range(256)) * 4000
    vendor.text("/archive", content)
    vendor.trouble("/archive", failing())
    path = tmp_path / "archive"
    done = client.with_(max_bytes=10).download("/archive", path, max_bytes=2_000_000)
    assert (path.read_bytes(), done.size_bytes) == (content, len(content))
    with pytest.raises(UpstreamError, match="more than 1,000 bytes"):
        client.download("/archive", path, max_bytes=1000)
    assert not path.exists()
    with pytest.raises(UpstreamNotFound):
        client.download("/other", path, max_bytes=1000)
    assert not path.exists()


# Redirects


def test_redirects_are_followed_only_when_asked(vendor: Vendor, client: Client):
    vendor.json("/old", "", status=301, headers={"location": "/new?token=abcdefgh"})
    vendor.json("/new", {"is": "new"})
    with pytest.raises(UpstreamError) as caught:
        client.get("/old")
    assert "answered 301: it has moved to /new?token=***" in str(caught.value)
    assert client.with_(redirects=1).get_json("/old") == {"is": "new"}
    assert vendor.calls[-1].headers["authorization"] == f"Bearer {TOKEN}"
    vendor.json("/loop", "", status=302, headers={"location": "/loop"})
    with pytest.raises(UpstreamError):
        client.with_(redirects=5).get("/loop")
    assert len([path for path in vendor.paths if "loop" in path]) == 6


def test_a_redirect_to_another_host_leaves_credentials_behind(vendor: Vendor, client: Client):
    other = Vendor()
    other.json("/archive", {"is": "there"})
    vendor.json("/archive", "", status=302, headers={"location": f"{other.url}/archive"})
    other.json("/form", {"is": "there"})
    vendor.json("/form", "", method="POST", status=303, headers={"location": f"{other.url}/form"})
    client = client.with_(redirects=1)
    assert client.get_json("/archive") == {"is": "there"}
    assert client.post("/form", json={"a": TOKEN}).json() == {"is": "there"}
    other.close()
    assert [call.method for call in other.calls] == ["GET", "GET"]
    assert not any("authorization" in call.headers for call in other.calls)
    assert other.calls[1].body == b""


@pytest.mark.parametrize(
    "place",
    [
        "http://10.0.0.1/",
        "http://[::ffff:169.254.169.254]/",
        "//2130706434/",
        "file:///etc/passwd",
        "http://a:b@127.0.0.1/",
        "http://[",
    ],
)
def test_a_redirect_leads_nowhere_that_a_call_would_not_go(vendor, client, place):
    vendor.json("/x", "", status=302, headers={"location": place})
    with pytest.raises(AddressRefused):
        client.with_(redirects=3).get("/x")


# Not modified


def test_what_was_not_modified_is_not_sent_again(vendor: Vendor, client: Client, db):
    vendor.etags = True
    vendor.pages("/repos", list(range(4)), size=2)
    first = client.with_(etags=CacheEtags("one")).get("/repos")
    again = client.with_(etags=CacheEtags("one")).get("/repos")
    assert (first.is_cached, again.is_cached) == (False, True)
    assert (again.status, again.json(), again.links) == (200, [0, 1], first.links)
    vendor.json("/repos", ["new"])
    assert client.with_(etags=CacheEtags("one")).get_json("/repos") == ["new"]
    other = client.with_(etags=CacheEtags("another")).get("/repos")
    client.with_(etags=CacheEtags("one"), headers={"accept": "text/x"}).get("/repos")
    assert not other.is_cached
    assert [call.status for call in vendor.calls] == [200, 304, 200, 200, 200]


def test_a_large_answer_is_not_kept(vendor: Vendor, client: Client, db):
    vendor.etags = True
    vendor.json("/repos", list(range(500)))
    client = client.with_(etags=CacheEtags("one", max_bytes=100))
    client.get("/repos")
    assert not client.get("/repos").is_cached


# What is shown


def test_no_log_line_and_no_error_holds_a_secret(vendor: Vendor, caplog):
    caplog.set_level(logging.DEBUG)
    secrets = [TOKEN, "basic-password", "s3cr3t-in-query", "sealed-elsewhere"]
    words = f"bad token {TOKEN} basic-password s3cr3t-in-query sealed-elsewhere"
    vendor.trouble("/a/sealed-elsewhere", failing(500, words), hang_up(), refused(401, words))
    client = Client(
        base_url=vendor.url,
        headers={"X-Api-Key": TOKEN},
        basic=("ada", "basic-password"),
        params={"api_key": "s3cr3t-in-query", "page": 1},
        secrets=["sealed-elsewhere"],
    )
    with client, pytest.raises(UpstreamRefused) as caught:
        client.get("/a/sealed-elsewhere")
    with client, pytest.raises(UpstreamNotFound):
        client.get("/b?x=sealed-elsewhere")
    said = [str(record.msg) for record in caplog.records] + [
        record.getMessage() for record in caplog.records
    ]
    shown = [*said, str(caught.value), str(caught.value.details), repr(client)]
    assert len(caplog.records) >= 5
    assert not [(secret, one) for one in shown for secret in secrets if secret in one]
    assert "bad token *** *** *** ***" in str(caught.value)
    assert f"{vendor.url}/a/***?api_key=***&page=1" in str(caught.value)


def test_a_header_with_a_line_end_is_refused_unsaid(vendor: Vendor):
    client = Client(base_url=vendor.url, headers={"Authorization": f"Bearer {TOKEN}\n"})
    with client, pytest.raises(InvalidInput) as caught:
        client.get("/user")
    assert TOKEN not in str(caught.value)
    assert vendor.calls == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@x.example/a?b=c#d", "https://x.example/a?b=c"),
        ("https://x.example/?access_token=1&page=2", "https://x.example/?access_token=***&page=2"),
        ("https://x.example/?X-Amz-Signature=1", "https://x.example/?X-Amz-Signature=***"),
        ("https://x.example/?q=a%26b", "https://x.example/?q=a%26b"),
        ("http://[", "(not a URL)"),
    ],
)
def test_addresses_are_shown_without_secrets(url, shown):
    assert mask_url(url) == shown


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"message": "Not Found", "documentation_url": "https://x"}', "Not Found"),
        (
            b'{"message": "Validation Failed", "errors": [{"message": "q is missing"}]}',
            "Validation Failed; q is missing",
        ),
        (b'{"errorMessages": ["No such JQL field"], "errors": {}}', "No such JQL field"),
        (b'{"errorMessages": [], "errors": {"summary": "is required"}}', "summary: is required"),
        (
            b'{"error": {"message": "Invalid Input", "code": 2001, "errors": ["Name is taken"]}}',
            "Invalid Input; Name is taken",
        ),
        (
            b'{"error": "invalid_token", "error_description": "Token was revoked"}',
            "Token was revoked",
        ),
        (b'{"error": "insufficient_scope"}', "insufficient_scope"),
        (b'{"kind": "Status", "message": "pods is forbidden"}', "pods is forbidden"),
        (b'{"status": "error", "errorType": "bad_data", "error": "parse error"}', "parse error"),
        (b'{"errors": [{"detail": "a"}, {"detail": "b"}]}', "a; b"),
        (b'{"message": {"base": ["too long"]}}', ""),
        (b"<html><head><title>502 &amp; more</title></head><body>x</body></html>", "502 & more"),
        (b"<html><body>x</body></html>", ""),
        (b"\n  upstream connect error\n more", "upstream connect error"),
        (b"x" * 1000, "x" * 299 + "…"),
        (b"", ""),
        (b"[]", ""),
        (b"\xff\xfe", "��"),
    ],
)
def test_the_words_of_a_refusal(content, words):
    assert words_of(httpx2.Headers(), content) == words


NOW = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("_case", "headers", "seconds"),
    [
        ("seconds", {"retry-after": "42"}, 42),
        ("a date", {"retry-after": format_datetime(NOW + timedelta(seconds=9), usegmt=True)}, 9),
        ("a date that has passed", {"retry-after": "Mon, 02 Mar 2026 10:00:00 GMT"}, 0),
        ("GitHub", {"x-ratelimit-reset": str(int(NOW.timestamp()) + 30)}, 31),
        ("GitLab", {"ratelimit-reset": str(int(NOW.timestamp()) + 30)}, 31),
        ("milliseconds", {"x-ratelimit-reset": str(int(NOW.timestamp() + 30) * 1000)}, 31),
        ("PagerDuty", {"ratelimit-reset": "17"}, 17),
        ("Jira", {"x-ratelimit-reset": "2026-03-03T10:00:20Z"}, 21),
        ("the standard", {"ratelimit": "limit=100, remaining=0, reset=50"}, 50),
        ("its newer form", {"ratelimit": '"default";r=0;t=12'}, 12),
        ("both", {"retry-after": "3", "x-ratelimit-reset": str(int(NOW.timestamp()) + 30)}, 3),
        ("nonsense", {"retry-after": "soon", "x-ratelimit-reset": "never"}, None),
        ("infinite", {"retry-after": "inf"}, None),
        ("nothing", {}, None),
    ],
)
def test_how_long_servers_ask_us_to_wait(_case, headers, seconds):
    # Their clock counts, not ours.
    answer = httpx2.Headers({"date": format_datetime(NOW, usegmt=True), **headers})
    assert asked_wait_s(answer) == seconds


@pytest.mark.parametrize(
    ("status", "headers", "words", "limit"),
    [
        (429, {}, "", True),
        (403, {"x-ratelimit-remaining": "0"}, "API rate limit exceeded", True),
        (403, {}, "You have exceeded a secondary rate limit", True),
        (403, {"retry-after": "60"}, "", True),
        (403, {"x-ratelimit-remaining": "4999"}, "Resource not accessible", False),
        (401, {"retry-after": "60"}, "", False),
    ],
)
def test_a_limit_is_told_from_a_refusal(status, headers, words, limit):
    assert is_limited(status, httpx2.Headers(headers), words) is limit


# TLS


class Authority:
    """Signs certificates for a test. `pem` is its own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        basics = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._build(self._name, self._key.public_key(), basics)
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, *names: str) -> tuple[str, str]:
        """(certificate, key) for host names and addresses, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        hosts = [
            x509.IPAddress(ip_address(one)) if one[0].isdigit() else x509.DNSName(one)
            for one in names
        ]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = self._build(subject, key.public_key(), x509.SubjectAlternativeName(hosts))
        return (
            certificate.public_bytes(serialization.Encoding.PEM).decode(),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode(),
        )

    def _build(self, subject: Any, key: Any, extension: Any) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(extension, critical=False)
            .sign(self._key, hashes.SHA256())
        )


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def cluster(vendor: Vendor, authority: Authority, tmp_path: Path) -> Iterator[Vendor]:
    """A server behind TLS, known as cluster.example, that asks for a client's certificate."""
    (tmp_path / "server.pem").write_text("".join(authority.issue("cluster.example")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    context.load_verify_locations(cadata=authority.pem)
    context.verify_mode = ssl.CERT_OPTIONAL
    one = Vendor(tls=context)
    one.json("/version", {"major": "1"})
    one.json("/down", "", status=302, headers={"location": f"{vendor.url}/x"})
    yield one
    one.close()


def test_tls_trusts_the_given_authority_and_the_name_of_the_url(
    cluster: Vendor, authority: Authority, settings, tmp_path: Path
):
    url = cluster.url.replace("127.0.0.1", "cluster.example")

    def resolver(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    with Client(base_url=url, verify=authority.pem, resolver=resolver, retries=0) as client:
        assert client.get_json("/version") == {"major": "1"}
        shown = client.with_(cert=authority.issue("idp.example"))
        assert shown.get_json("/version") == {"major": "1"}
        with pytest.raises(AddressRefused, match="not encrypted"):
            client.with_(redirects=1).get("/down")
        with pytest.raises(UpstreamUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            client.with_(verify=True).get("/version")
        with pytest.raises(UpstreamUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            client.with_(verify=Authority().pem).get("/version")
        with pytest.raises(UpstreamUnavailable, match="IP address mismatch"):
            client.with_(base_url=cluster.url).get("/version")
        assert client.with_(verify=False).get_json("/version") == {"major": "1"}
        with pytest.raises(UpstreamUnavailable):
            client.with_(cert=Authority().issue("stranger.example")).get("/version")
        path = tmp_path / "company.pem"
        path.write_text(authority.pem)
        settings.IDP_HTTP_CA_FILE = str(path)
        assert client.with_(verify=True).get_json("/version") == {"major": "1"}


@pytest.mark.parametrize("field", ["verify", "cert"])
def test_pem_that_is_none_is_refused_unsaid(field):
    with pytest.raises(InvalidInput) as caught:
        Client(**{field: "not PEM" if field == "verify" else ("not PEM", TOKEN)})
    assert TOKEN not in str(caught.value)
