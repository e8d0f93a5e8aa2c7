import pytest

from tests.factories import make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/", "/search/palette?q=onerror", "/accounts/password/change/"])
def test_a_kinds_title_is_text_in_every_navigation(path: str) -> None:
    make_blueprint("evil", title="R&D <img src=x onerror=alert(1)>")
    make_entity("evil", "one")
    html = make_browser().get(path).content.decode()
    assert "<span>R&amp;D &lt;img src=x onerror=alert(1)&gt;</span>" in html
    assert "<img src=x" not in html
