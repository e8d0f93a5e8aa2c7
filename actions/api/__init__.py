"""/v1/actions and what runs of them answer."""
