"""Events in, findings out: the pure core, and around it the shell that feeds it (docs/architecture.md)."""
