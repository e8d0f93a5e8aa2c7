"""What the pages of initiatives draw with."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from scorecards.portal.words import percent
from scorecards.selectors.initiatives import Numbers

register = template.Library()


@register.simple_tag
def progress(numbers: Numbers) -> SafeString:
    """A bar of what is done; the part that is done only by exemptions is hatched."""
    if not numbers.entities:
        return SafeString()
    proper = 100 * (numbers.done - numbers.exempt) / numbers.entities
    exempt = 100 * numbers.exempt / numbers.entities
    words = f"{percent(numbers.percentage)} done"
    if numbers.exempt:
        words += f", {numbers.exempt:,} of them exempt"
    return format_html(
        '<span class="go-progress" role="img" aria-label="{}" title="{}">'
        '<i style="--done:{}"></i>'
        '<i class="go-exempt-part" style="--from:{};--done:{}"></i></span>',
        words,
        words,
        f"{proper:.2f}",
        f"{proper:.2f}",
        f"{exempt:.2f}",
    )


@register.simple_tag
def share_bar(share: str) -> SafeString:
    """A bar beside numbers that say the same. share: percent."""
    return format_html(
        '<span class="go-progress" aria-hidden="true"><i style="--done:{}"></i></span>', share
    )
