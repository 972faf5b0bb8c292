"""The health monitor: checks every provider, and keeps one debounced status of each."""
