"""Search objects in entity requests, turned into identifiers before the door sees them.

A request may name an entity by a search instead of its identifier: in `identifier`, in `team`, and
in any relation. `{"combinator": "and", "rules": [{"property": "email", "operator": "=",
"value": "ann@example.com"}]}`. Call

    resolved = resolve_references(bodies, blueprint=blueprint, principal=principal)

with the entity bodies of one request (all of one blueprint), before building `EntityDraft`s. It
returns one `Resolved` per body, in order: `body` is the given one with every search object
replaced, `error` says why it could not be done (then nothing of that body may be written). Bodies
without a search object come back as they are. For a whole batch it takes two statements at most
(plus two when rules speak of the calling user), and none when there is no search object.

- `identifier`: searched in the entity's own blueprint, must match exactly one entity; otherwise
  `error` is an `UnresolvedIdentifier`, whose identifier REST reports as "unknown".
- a relation: searched in its target blueprint (in all, when it may lead to any kind); a single
  one gets the first hit or None, a many one up to 100 hits or []. Hits are in the order of their
  identifiers.
- `team`: searched among the entities of `_team`; up to 100 hits.

Rules in search objects compare properties by `=`, `in`, `contains` or `containsAny`.
"""
