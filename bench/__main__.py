"""All measurements, one after the other, each in a process of its own.

make bench [ARGS="--count 10000"]
"""

import subprocess
import sys
from pathlib import Path

for name in (
    "ingest.py",
    "read.py",
    "mapping.py",
    "derived.py",
    "sync.py",
    "locations.py",
    "techdocs.py",
    "search.py",
    "runs.py",
    "scorecards.py",
    "backstage_catalog.py",
):
    print(f"\n== {name}", flush=True)
    subprocess.run([sys.executable, Path(__file__).parent / name, *sys.argv[1:]], check=True)
