"""Selecting, ordering, counting and showing entities the way Backstage's catalogue does."""
