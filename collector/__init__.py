"""The agent's side: log files in, events out (docs/architecture.md)."""
