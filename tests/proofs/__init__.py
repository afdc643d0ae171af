"""The proofs: each promise tried as hard as this machine can, and what was lost counted.

    python -m tests.proofs              every row, the table printed at the end (`make proofs`)
    python -m tests.proofs states       one row (`make proofs ROW=states`)
    python -m tests.proofs --table      the table of what was found so far, nothing run

A row is a module here with a constant `ROW` (`row.Row`). It is tried in numbered parts, each a function of its number
alone, so that a part can be run again by itself, parts run side by side, and a run that was stopped goes on where it
was: findings are kept by what the tree holds (`ledger`). A short form of each row is a test beside it.
"""
