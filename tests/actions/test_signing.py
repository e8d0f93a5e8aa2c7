"""What receivers check and open: signatures, encrypted inputs, and the key behind them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from io import StringIO

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.management import call_command

from actions.models import SigningKey
from actions.services import signing
from actions.services.json_of_javascript import number, stringify
from catalog.kernel import crypto
from catalog.kernel.actors import Role
from catalog.kernel.errors import InvalidInput
from catalog.models import Change
from idp import bootstrap
from tests.factories import ACTOR, make_browser

pytestmark = pytest.mark.django_db

SECRET = "client-secret-of-forty-characters-or-so-1"


def test_the_signature_is_ports():
    signing.set_key(SECRET, ACTOR)
    body = '{"name":"zażółć"}'.encode()
    expected = hmac.new(SECRET.encode(), b"1700000000." + body, hashlib.sha256).digest()
    assert signing.headers_for(body, 1_700_000_000) == {
        "X-Port-Timestamp": "1700000000",
        "X-Port-Signature": f"v1,{base64.b64encode(expected).decode()}",
    }
    assert signing.sha1_of(body) == hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        (SECRET, SECRET.encode()[:32]),
        ("short-secret", hashlib.sha256(b"short-secret").digest()),
    ],
)
def test_receivers_open_what_is_encrypted(secret, key):
    signing.adopt_key(secret, ACTOR)
    sealed = base64.b64decode(signing.encrypt({"pin": 1}))
    assert AESGCM(key).decrypt(sealed[:16], sealed[16:], None) == b'{"pin":1}'
    assert signing.decrypt(signing.encrypt("żółw")) == "żółw"
    assert signing.encrypt("a") != signing.encrypt("a")


@pytest.mark.parametrize("text", ["", "no base64!", base64.b64encode(b"x" * 40).decode()])
def test_what_was_not_encrypted_here_is_refused(text):
    with pytest.raises(InvalidInput, match="was not encrypted with the signing key"):
        signing.decrypt(text)


def test_the_key_is_made_once_replaced_and_never_told():
    first = signing.key()
    assert len(first) >= 32
    assert signing.key() == first
    signing.set_key(SECRET, ACTOR)
    signing.set_key(SECRET, ACTOR)
    signing.adopt_key("another one", ACTOR)
    assert signing.key() == SECRET
    noted = list(Change.objects.filter(model="signingkey").order_by("id"))
    assert [(one.action, one.actor) for one in noted] == [
        ("create", "signing"),
        ("update", ACTOR.name),
    ]
    assert SECRET not in str([vars(one) for one in noted]) + str(vars(SigningKey.objects.get()))


@pytest.mark.parametrize("value", [None, "", "k" * 31, "k" * 1001])
def test_a_key_that_is_too_short_is_refused_without_being_told(value):
    with pytest.raises(InvalidInput, match="at least 32 bytes") as caught:
        signing.set_key(value, ACTOR)
    assert "value" not in caught.value.details
    assert not SigningKey.objects.exists()


def test_an_admin_replaces_it_and_sees_only_one_that_is_made_here():
    signing.set_key(SECRET, ACTOR)
    page = "/admin/actions/signingkey/replace/"
    assert make_browser(role=Role.MEMBER).get(page).status_code in (302, 403)
    admin = make_browser(role=Role.ADMIN)
    assert admin.get(page).status_code == 200
    assert signing.key() == SECRET  # looking at the page changes nothing
    refused = admin.post(page, {"key": "too-short-to-be-one"})
    assert "at least 32 bytes" in refused.content.decode()
    assert admin.post(page, {"key": "n" * 40}).status_code == 302
    assert signing.key() == "n" * 40
    made = admin.post(page, {"key": ""})
    assert signing.key() in made.content.decode()
    assert "no-store" in made["Cache-Control"]
    shown = admin.get("/admin/actions/signingkey/").content.decode() + refused.content.decode()
    for secret in (SECRET, "too-short-to-be-one", "n" * 40, signing.key()):
        assert secret not in shown


def test_the_secret_of_the_first_client_is_the_key():
    bootstrap.make_access(client_id="ci", client_secret=SECRET)
    bootstrap.make_access(client_id="other", client_secret="another-secret-of-a-later-client")
    assert signing.key() == SECRET


def test_the_key_is_sealed_anew_with_the_servers(settings):
    old, new = crypto.new_key(), crypto.new_key()
    settings.IDP_ENCRYPTION_KEYS = [old]
    signing.set_key(SECRET, ACTOR)
    settings.IDP_ENCRYPTION_KEYS = [new, old]
    out = StringIO()
    call_command("rotate_keys", stdout=out)
    assert "1 signing keys, 0 runs" in out.getvalue()
    settings.IDP_ENCRYPTION_KEYS = [new]
    assert signing.key() == SECRET
    settings.IDP_ENCRYPTION_KEYS = [crypto.new_key()]
    signing.set_key("k" * 32, ACTOR)
    assert signing.key() == "k" * 32, "a key that nobody can open can be replaced"


# What `JSON.stringify(JSON.parse(text))` gave for these.
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-12.5, "-12.5"),
        (0.1, "0.1"),
        (1e-6, "0.000001"),
        (1.5e-7, "1.5e-7"),
        (123456789012345680000, "123456789012345680000"),
        (1e21, "1e+21"),
        (-1.25e30, "-1.25e+30"),
        (2**53 + 1, "9007199254740992"),
        (5e-324, "5e-324"),
        (10**400, "null"),
    ],
)
def test_numbers_are_written_as_javascript_does(value, expected):
    assert number(value) == expected


def test_json_is_written_as_javascript_does():
    value = {"b": [True, None, 'é\u2028\x07"\\\n😀'], "10": {}, "2": [], "01": 1, "\ud800": ""}
    expected = '{"2":[],"10":{},"b":[true,null,"é\u2028\\u0007\\"\\\\\\n😀"],"01":1,"\\ud800":""}'
    assert stringify(value) == expected
