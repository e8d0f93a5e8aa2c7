"""/v1/scorecards, and those of one blueprint."""
