"""Foreign descriptor formats. Their packages are pure; `imports` brings it to the door."""
