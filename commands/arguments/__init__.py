"""What each sub-command may be told. Nothing heavy is imported before one is chosen."""
