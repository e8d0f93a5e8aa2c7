"""The source kinds that come with the product; each module is one kind."""
