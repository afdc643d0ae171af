"""Recorded machines: each folder is the root of one, with what its readings are (`golden.jsonl`).

Beside `proc/`, `sys/`, `etc/` and `var/` a folder holds `errors.toml` (what no file can be: path and errno),
`nvml.json` and `commands/` (what the sources said that are no files), and `README.md`: what it is, where each fact is
from, and what was reconstructed. It has only the files that a collector reads, or must not read.
`golden.opt-in.jsonl` is what is otherwise where tegrastats and jtop are asked for.
`edge-agent sample --root tests/machines/thor-jp7` reads one as the agent would.

    python -m tests.machines --write       write every golden file anew, to be reviewed against the folders
    python -m tests.machines.shaken 20000  read that many machines in which files went wrong at random
"""
