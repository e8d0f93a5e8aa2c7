"""What this server may call, how it gets there, and the keys of the secrets it goes with.

docs/security.md tells it to operators.
"""

from idp.settings import env
from idp.settings.parts.stores import IDP_HOME

# Hosts, *.suffixes, addresses and networks that are private and still meant to be called.
IDP_HTTP_ALLOW = env.allowed("IDP_HTTP_ALLOW")
# http(s)://user:password@host:port of a proxy for everything the list above does not name.
IDP_HTTP_PROXY = env.proxy("IDP_HTTP_PROXY")
# A file of further certificate authorities, in PEM.
IDP_HTTP_CA_FILE = env.file("IDP_HTTP_CA_FILE")

# Keys of secrets at rest: the first seals, all open. `idp.embedded.make_home` writes the kept one.
IDP_ENCRYPTION_KEYS = env.keys("IDP_ENCRYPTION_KEYS", IDP_HOME / "encryption.key")
