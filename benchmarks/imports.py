"""What it costs to start: the library and its command, in times of what it takes to start Python and import click.

Each is a process of its own, started in turn with the others after one start that is not counted: the files are then in
memory, as they are for who uses the command.

    python benchmarks/imports.py [--json FOLDER] [--repeats 5] [--smallest]
"""

import subprocess
import sys
from functools import partial

from measuring import keep, machine, medians_of, options, show

STARTS = {
    "import click": ["-c", "import click"],
    "import modularity_lib": ["-c", "import modularity_lib"],
    "modularity --help": ["-m", "modularity_lib.cli", "--help"],
}


def start(arguments: list[str]) -> None:
    """Start Python with these arguments, and wait for its end."""
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)


def main() -> None:
    """Print the table of medians."""
    arguments = options(__doc__, repeats=5)
    seconds = medians_of([partial(start, given) for given in STARTS.values()], arguments.repeats)
    rows = [
        {"what": what, "milliseconds": 1000 * own, "times": own / seconds[0]}
        for what, own in zip(STARTS, seconds, strict=True)
    ]
    show(f"Starts, {machine()}", rows)
    keep(rows, arguments.json, name="imports")


if __name__ == "__main__":
    main()
