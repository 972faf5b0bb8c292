"""From what we knew and what we saw to what must have happened. Pure: no clock, no I/O."""
