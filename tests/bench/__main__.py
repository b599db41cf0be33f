"""Every bench, one after another; each can be run alone as `python -m tests.bench.<name> --help`."""

import subprocess
import sys

BENCHES: dict[str, list[str]] = {
    "parse": [],
    "screening": [],
    "search": [],
    "ingest": [],
    "ingest on PostgreSQL": ["--database", "postgresql"],
    "oversight": [],
    "oversight on PostgreSQL": ["--database", "postgresql"],
}

for title, options in BENCHES.items():
    print(f"\n== {title}", flush=True)
    name = title.partition(" ")[0]
    subprocess.run([sys.executable, "-m", f"tests.bench.{name}", *options], check=True)
