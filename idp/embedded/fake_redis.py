"""The stand-in for Redis: `python fake_redis.py PORT` serves it on 127.0.0.1."""

import os
import signal
import sys

from fakeredis import TcpFakeServer

if __name__ == "__main__":
    # At once: a thread for each client would keep the process.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    TcpFakeServer(("127.0.0.1", int(sys.argv[1])), server_type="redis").serve_forever()
