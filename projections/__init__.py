"""What is true, now or at any past moment: events folded into SQLite."""
