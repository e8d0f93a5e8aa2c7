"""What several modules of tests ask the API about."""

import pytest


@pytest.fixture(scope="module")
def _made_things(django_db_setup, django_db_blocker):
    """Made once for all tests of a module, in a transaction around theirs."""
    from django.db import transaction

    from tests.idp.things import make_things  # models, which need the settings of the run

    with django_db_blocker.unblock(), transaction.atomic():
        yield make_things()
        transaction.set_rollback(True)


@pytest.fixture
def things(_made_things, db):
    """One of everything that the API knows; the admin who made them.

    Tests of the same module that ask for the database alone see these things too.
    """
    return _made_things
