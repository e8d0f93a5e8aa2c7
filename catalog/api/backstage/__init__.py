"""Backstage's backends as its clients know them: /api/catalog, /api/search, /api/techdocs,
/api/proxy.

Views are thin: `base.call` says what a method takes and answers, `BackstageView` checks it, one
service or selector does the work. Refusals have Backstage's shape (`errors`), whoever raises them.
"""
