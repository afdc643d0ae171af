"""Floor 3: words inward. Listener, dispatcher, ledger, reporter."""
