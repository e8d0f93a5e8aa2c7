"""Cost records, their allocation and budgets."""
