"""The log and its buckets: the only importer of `nats`."""
