"""`python -m tests.machines`: what each machine reads, against its golden files; `--write` writes them anew."""

import sys

from tests.machines.machine import FOLDER, MACHINES, goldens


def main() -> int:
    """0 when every golden file holds, or was written."""
    wrong = 0
    for machine in MACHINES:
        for name, lines in goldens(FOLDER / machine).items():
            golden, said = FOLDER / machine / name, b"".join(line + b"\n" for line in lines)
            if "--write" in sys.argv[1:]:
                golden.write_bytes(said)
            holds = golden.exists() and golden.read_bytes() == said
            wrong += not holds
            sys.stdout.write(f"{machine}/{name:20} {len(lines):5} readings  {'holds' if holds else 'DIFFERS'}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
