"""Rules, levels and results over the catalogue."""
