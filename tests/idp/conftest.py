import pytest


@pytest.fixture
def things(db):
    """One of everything that the API knows; the admin who made them."""
    from tests.idp.things import make_things  # models, which need the settings of the run

    return make_things()
