"""Providers on loopback, as real as HTTP can make them: for the demo, the tests and the benchmarks.

`Simulator` starts them, `Site` is one of them, `faults` holds what can go wrong with one.
"""
