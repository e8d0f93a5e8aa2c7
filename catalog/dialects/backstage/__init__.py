"""Backstage's catalogue files: what is valid, what it refers to, and what it becomes here.

Pure: nothing in this package touches the database or the network. Files are read only below the
folders that the caller allows.
"""
