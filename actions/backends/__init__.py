"""What does the work of runs: one backend for each type of invocation method."""
