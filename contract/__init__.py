"""What the parts agree on. Imports none of them (docs/architecture.md)."""
