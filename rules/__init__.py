"""The rule book that ships: a folder per rule (docs/decisions/rules.md); `controls/` holds the promises of assessments."""
