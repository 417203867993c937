"""The report of a month that the privacy section signs: one typed model, and three faces made from it."""
