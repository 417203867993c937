"""The rule book that ships: a folder per rule (docs/rules.md); `controls/` holds the promises of assessments."""
