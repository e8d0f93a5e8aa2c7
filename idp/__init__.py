"""The roof: settings, addresses, log-in, supervision. The only package that knows every app."""

__version__ = "0.1.0"
