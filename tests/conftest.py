"""The suite runs on real engines: one PostgreSQL and one Redis for all its processes.

The controlling process starts them in a throw-away home; the workers of pytest-xdist find them in
the environment. The engines notice by themselves when the run is gone, however it ended.
IDP_TEST_DATABASE_URL and IDP_TEST_REDIS_URL name servers to use instead.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from idp import embedded

pytest_plugins = ["tests.browser", "tests.git_server", "tests.vendors"]

_ENGINES = pytest.StashKey[embedded.Attachment]()
_ROOT = Path(__file__).resolve().parent.parent

# The modules with the longest tests, longest first.
_LONG = [
    "test_up.py",
    "test_ocean.py",
    "test_crash.py",
    "test_live.py",
    "test_derived_concurrency.py",
    "test_feed.py",
    "test_concurrency.py",
    "test_migrations_api.py",
    "test_backstage_client.py",
    "test_scaffolder_client.py",
    "test_action_builder.py",
    "test_mcp.py",
    "test_cortex_cli.py",
    "test_scorecard_builder.py",
    "test_portal_pages.py",
    "test_in_a_browser.py",
]


def _load_settings() -> None:
    """Read the settings now: pytest-django sets Django up after this, so tests import models."""
    from django.conf import settings

    assert settings.INSTALLED_APPS


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # Whatever the developer's own shell names must not be touched by tests.
    os.environ["DJANGO_SETTINGS_MODULE"] = "idp.settings.test"
    if "PYTEST_XDIST_WORKER" in os.environ:
        _load_settings()
        return
    for variable in [name for name in os.environ if name.startswith("IDP_")]:
        if not variable.startswith("IDP_TEST_"):
            del os.environ[variable]
    for variable in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(variable, None)
        if given := os.environ.get(f"IDP_TEST_{variable}"):
            os.environ[variable] = given
    os.environ["IDP_SECRET_KEY"] = "a key for tests, which sign nothing of worth " * 2
    if config.option.collectonly:
        _load_settings()
        return
    home = tempfile.mkdtemp(prefix="idp-test-")
    os.environ["IDP_HOME"] = home
    Path(home, "static").mkdir()  # whitenoise warns without it
    engines = embedded.attach(Path(home), ephemeral=True)
    try:
        engines.start()
    except embedded.EmbeddedError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[_ENGINES] = engines
    os.environ.update(engines.urls)
    _load_settings()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _ENGINES in config.stash:
        config.stash[_ENGINES].release()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of the tests that commit, which have a part of the order for themselves, long ones start
    first: whoever has nothing left takes over short ones. Those of whole installations, which
    would be among the last, start before them.
    """
    places = [
        place
        for place, item in enumerate(items)
        if _commits(item) or item.path.name == "test_up.py"
    ]
    order = {name: number for number, name in enumerate(_LONG)}
    longest = sorted(
        [items[place] for place in places], key=lambda item: order.get(item.path.name, len(order))
    )
    for place, item in zip(places, longest, strict=True):
        items[place] = item


def _commits(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    fixtures = {"transactional_db", "live_server"} & set(getattr(item, "fixturenames", ()))
    return bool(fixtures or (marker and marker.kwargs.get("transaction")))


@pytest.fixture(autouse=True)
def _empty_redis(request: pytest.FixtureRequest) -> Iterator[None]:
    """Empty this worker's Redis database after each test that uses the real database."""
    yield
    if "db" in request.fixturenames or "transactional_db" in request.fixturenames:
        from django.core.cache import cache

        cache.clear()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """The database, which is emptied in a cheaper way after tests that commit."""
    from django.test import TransactionTestCase

    from tests.flushing import flush

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", flush)
        yield


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real-world files named by IDP_TEST_DATA; tests that need it are skipped."""
    folder = Path(os.environ.get("IDP_TEST_DATA") or _ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no test data: {folder} is not there (set IDP_TEST_DATA)")
    return folder
