"""Where the time of one order goes, from both ends' timestamps on one clock (CLOCK_MONOTONIC)."""
