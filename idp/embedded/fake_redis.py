"""The stand-in for Redis: `python fake_redis.py PORT` serves it on 127.0.0.1."""

import signal
import sys

from fakeredis import TcpFakeServer

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    TcpFakeServer(("127.0.0.1", int(sys.argv[1])), server_type="redis").serve_forever()
