"""The sections of the report, a module each: what it says, from what, in both languages."""
