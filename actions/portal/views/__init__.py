"""Views of `/self-service`, `/runs`, `/approvals`: they ask and answer, the services do."""
