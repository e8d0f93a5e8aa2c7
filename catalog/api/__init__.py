"""The native API, `/v1`: Port's public API, shape for shape, and resources of our own beside it.

Views are thin: they read the request, ask `permissions`, call one service or selector, and shape
the answer. What they raise becomes JSON in `idp.errors`.
"""
