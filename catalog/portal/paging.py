"""The pages before and after one of a long list."""

from __future__ import annotations

from catalog.kernel.keyset import AFTER, BEFORE, KeysetPage
from catalog.portal.shell import PortalRequest


def neighbours(request: PortalRequest, found: KeysetPage) -> dict[str, str]:
    """The addresses of the pages "before" and "after" this one; "" where there is none."""

    def url(name: str, cursor: str | None) -> str:
        if cursor is None:
            return ""
        query = request.GET.copy()
        for key in (BEFORE, AFTER):
            query.pop(key, None)
        query[name] = cursor
        return f"?{query.urlencode()}"

    return {"before": url(BEFORE, found.before), "after": url(AFTER, found.after)}
