"""The spool writes less flash than a database, and syncs once a seal."""

from tests.proofs.flash import measured


def test_the_spool_wears_flash_less_than_sqlite() -> None:
    figures = measured(8192, 60).figures
    assert figures["spool"] < figures["sqlite"]
