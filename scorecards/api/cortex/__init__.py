"""Cortex's REST as its clients know it, below /api/v1: scorecards, exemptions, initiatives, custom
data, metrics and queries.

Views are thin: they read what clients send, one service or selector does the work, `documents`
gives it Cortex's shape. Refusals have Cortex's shape (`errors`), whoever raises them.
"""
