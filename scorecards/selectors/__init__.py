"""What scorecards say, read for pages, the API and notifications."""
