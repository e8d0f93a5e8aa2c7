"""The shell of admin and portal."""

UNFOLD = {
    "SITE_TITLE": "idp",
    "SITE_HEADER": "idp",
    "SITE_SUBHEADER": "Internal developer platform",
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
}
