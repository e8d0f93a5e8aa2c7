"""The only way out: HTTP that never reaches where it must not, and waits where it should.

`Client` asks; `check_address` tells a form at once what `Client` would refuse at dial time;
`check_endpoint` is for the few libraries that open their own connections.
"""

from catalog.kernel.http.addresses import check_address, check_endpoint
from catalog.kernel.http.client import Client, Stream
from catalog.kernel.http.etags import CacheEtags, EtagStore, Stored
from catalog.kernel.http.masking import looks_secret, mask_url
from catalog.kernel.http.responses import Downloaded, Response
from catalog.kernel.http.waiting import Wait

__all__ = [
    "CacheEtags",
    "Client",
    "Downloaded",
    "EtagStore",
    "Response",
    "Stored",
    "Stream",
    "Wait",
    "check_address",
    "check_endpoint",
    "looks_secret",
    "mask_url",
]
