"""For people: what the detector wrote, read back as files and tables, judged against the promises and told in a report."""
