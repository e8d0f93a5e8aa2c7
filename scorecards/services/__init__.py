"""Everything that changes scorecards and what comes of them."""
