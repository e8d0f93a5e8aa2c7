"""Sealing: any JSON in, nothing readable out, the first key seals and all keys open."""

import pytest

from catalog.kernel import crypto


@pytest.mark.parametrize("value", ["geheim ü", "", {"a": [1, None]}, 2**53, True])
def test_what_is_sealed_comes_out_equal_and_differs_each_time(value):
    sealed = crypto.seal(value)
    assert crypto.open_(memoryview(sealed)) == value
    assert sealed != crypto.seal(value)


def test_the_first_key_seals_and_all_keys_open(settings):
    old, new = crypto.new_key(), crypto.new_key()
    settings.IDP_ENCRYPTION_KEYS = [old]
    sealed = crypto.seal("x")
    settings.IDP_ENCRYPTION_KEYS = [new, old]
    assert crypto.open_(sealed) == "x"
    assert not crypto.is_current(sealed)
    resealed = crypto.reseal(sealed)
    assert crypto.is_current(resealed)
    assert crypto.reseal(resealed) == resealed
    settings.IDP_ENCRYPTION_KEYS = [new]
    assert crypto.open_(resealed) == "x"
    with pytest.raises(crypto.SealingFailed, match="IDP_ENCRYPTION_KEYS"):
        crypto.open_(sealed)


@pytest.mark.parametrize("broken", [b"", b"garbage", b"gAAAAA=="])
def test_what_was_not_sealed_is_not_opened(broken):
    with pytest.raises(crypto.SealingFailed):
        crypto.open_(broken)


def test_without_a_key_nothing_is_sealed(settings):
    settings.IDP_ENCRYPTION_KEYS = []
    with pytest.raises(crypto.SealingFailed, match="has no key"):
        crypto.seal("x")
