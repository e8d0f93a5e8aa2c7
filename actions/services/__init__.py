"""Every write of actions and runs."""
