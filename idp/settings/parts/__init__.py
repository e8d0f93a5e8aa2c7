"""Settings by subject; `idp.settings` brings them together."""
