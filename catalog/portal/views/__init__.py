"""The portal's pages of the catalogue: each parses, asks selectors, and shows."""
