"""Somebody who may build."""

import pytest
from django.test import Client


@pytest.fixture
def admin_client(db: None) -> Client:
    """A browser in which an admin is logged in."""
    from catalog.kernel.actors import Role
    from tests.factories import make_user

    client = Client()
    client.force_login(make_user("ada", role=Role.ADMIN))
    return client
