"""``python -m benchmarks.ptx``: compile kernels in this process and write the results as JSON."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from . import cases, suite
from .reading import CAPABILITIES


def main() -> None:
    """Compile each kernel once, or those of one capability, in this process, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ptx", description=suite.__doc__)
    parser.add_argument("--quick", action="store_true", help="each kernel once, in place of all cases")
    parser.add_argument("--capability", choices=list(CAPABILITIES), help="compute capability; default: each")
    parser.add_argument("--only", default="", metavar="REGEX", help="only the cases whose label matches")
    parser.add_argument("--register-limit", type=int, metavar="REGISTERS", help="registers of a thread")
    parser.add_argument("--json", default="-", metavar="FILE", help="where the results go; - prints them")
    arguments = parser.parse_args()
    capabilities = [arguments.capability] if arguments.capability else list(CAPABILITIES)
    chosen = cases.full()
    if arguments.quick:
        chosen = [case for capability in capabilities for case in cases.quick(capability)]
    chosen = [case for case in chosen if case.capability in capabilities and re.search(arguments.only, case.label)]
    result = suite.compiled([case._replace(register_limit=arguments.register_limit) for case in chosen], 1)
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    if arguments.json == "-":
        sys.stdout.write(text)
    else:
        Path(arguments.json).write_text(text, encoding="utf-8")
    sys.exit(int(any(line["faults"] for line in result["lines"])))


if __name__ == "__main__":
    main()
