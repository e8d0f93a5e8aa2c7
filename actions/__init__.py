"""Self-service actions, their runs and approvals."""
