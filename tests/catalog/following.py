"""Does in a test's own transaction what the consumer of the feed and its tasks do."""

from catalog.kernel.feed import FeedRow
from catalog.models import Change
from catalog.services import derived

_FIELDS = (
    "transaction", "id", "at", "actor_kind", "actor", "action", "model", "blueprint",
    "identifier", "object_id", "before", "after", "run",
)  # fmt: skip


def as_row(change: Change) -> FeedRow:
    return FeedRow(*(getattr(change, name) for name in _FIELDS))


def refresh_all() -> None:
    """Refresh every entity once."""
    derived.mark_all()
    while derived.refresh_stale() is not None:
        pass


class Follower:
    """Knows how far it has come; makes computed values true again."""

    def __init__(self) -> None:
        self.position = Change.objects.order_by("-id").values_list("id", flat=True).first() or 0

    def catch_up(self) -> int:
        """Returns how many changes it handled, its own included."""
        handled = 0
        while rows := list(Change.objects.filter(id__gt=self.position).order_by("id")):
            self.position = rows[-1].pk
            handled += len(rows)
            derived.mark([as_row(row) for row in rows])
            while derived.refresh_stale() is not None:
                pass
        return handled
