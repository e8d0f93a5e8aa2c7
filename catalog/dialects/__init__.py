"""Foreign descriptor formats: read into drafts for the one door, and written out again."""
