"""The notifier: alerts to where people look, and to programs that take signed messages."""
