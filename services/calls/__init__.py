"""Calls to providers: each is bounded, and a provider's fault is data, never an exception."""
