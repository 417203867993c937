"""The archive verified: written from docs/operations/archive.md, without a line of the code that writes it."""
