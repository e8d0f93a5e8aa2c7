"""What this server may call, and how it gets there. docs/security.md tells it to operators."""

from idp.settings import env

# Hosts, *.suffixes, addresses and networks that are private and still meant to be called.
IDP_HTTP_ALLOW = env.allowed("IDP_HTTP_ALLOW")
# http(s)://user:password@host:port of a proxy for everything the list above does not name.
IDP_HTTP_PROXY = env.proxy("IDP_HTTP_PROXY")
# A file of further certificate authorities, in PEM.
IDP_HTTP_CA_FILE = env.file("IDP_HTTP_CA_FILE")
