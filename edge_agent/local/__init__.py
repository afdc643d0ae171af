"""Floor 3: what this device answers to programs beside the agent: health, status, metrics, intake."""
