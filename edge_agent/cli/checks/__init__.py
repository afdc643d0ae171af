"""The shelf of `edge-agent doctor`: one file a check, each with a constant `CHECK` (`cli.finding`)."""
