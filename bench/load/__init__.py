"""Latency under open-loop load, free of coordinated omission: orders leave on a schedule that waits for nobody, and
each one's clock starts when it was to leave, not when the client came round to it."""
