"""The refresher: asks every provider for its models and appends what truly changed."""
