"""The shell of admin and portal."""

from collections.abc import Callable
from typing import Any

from django.templatetags.static import static


def _static(path: str) -> Callable[[Any], str]:
    """The address of a file, asked for when a page is drawn: names carry a hash by then."""
    return lambda _request: static(path)


UNFOLD = {
    "SITE_TITLE": "idp",
    "SITE_HEADER": "idp",
    "SITE_SUBHEADER": "Internal developer platform",
    "SITE_SYMBOL": "hub",
    "SITE_URL": "/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": _static("catalog/favicon.svg")}
    ],
    "SHOW_HISTORY": True,
    "BORDER_RADIUS": "8px",
    "STYLES": [_static("catalog/portal.css")],
    "SCRIPTS": [_static("catalog/portal.js"), _static("catalog/palette.js")],
    # Indigo. 600 carries white text (6.3:1), 500 stands as text on the dark ground (6.6:1).
    "COLORS": {
        "primary": {
            "50": "oklch(96.2% .018 272.3)",
            "100": "oklch(93% .034 272.8)",
            "200": "oklch(87% .065 274)",
            "300": "oklch(78.5% .115 274.7)",
            "400": "oklch(74% .135 275.5)",
            "500": "oklch(68% .165 276.5)",
            "600": "oklch(51.1% .232 276.9)",
            "700": "oklch(45.7% .215 277)",
            "800": "oklch(39.8% .18 277.4)",
            "900": "oklch(35.9% .135 278.7)",
            "950": "oklch(25.7% .086 281.3)",
        },
    },
    "ACCOUNT": {"navigation": "idp.portal.navigation.account_links"},
    "SIDEBAR": {
        "show_search": False,
        "navigation": "idp.portal.navigation.sidebar",
    },
}
