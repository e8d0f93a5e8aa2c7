"""The roof over the APIs of all apps: addresses, log-in of programs, organisation, OpenAPI."""
