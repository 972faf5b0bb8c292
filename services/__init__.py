"""The processes, and everything that touches a network, a clock or a terminal."""
