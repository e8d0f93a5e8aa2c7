"""Questions about actions and runs."""
