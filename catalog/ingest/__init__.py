"""How facts from elsewhere become entities: sources, mapping, sync runs, live events."""
