"""The soak with every option; `lakehouse bench soak` has its defaults.

python -m bench.ingest --commits 100000 --minutes 40 --connections 8 --json FIGURES
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench.ingest.soak import Soak, soak


def main() -> None:
    defaults = Soak()
    parser = argparse.ArgumentParser(prog="python -m bench.ingest")
    parser.add_argument("--commits", type=int, default=defaults.commits)
    parser.add_argument("--minutes", type=float, default=defaults.minutes)
    parser.add_argument("--connections", type=int, default=defaults.connections)
    parser.add_argument("--workers", type=int, default=defaults.workers)
    parser.add_argument("--json", type=Path, help="file for the figures [default: standard output]")
    options = parser.parse_args()
    plan = Soak(options.commits, options.minutes, options.connections, options.workers)
    text = json.dumps(soak(plan), indent=2) + "\n"
    if options.json:
        options.json.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
