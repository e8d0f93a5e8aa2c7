"""/api/scaffolder: software templates and their runs, as Backstage's clients ask for them.

A task is a run of the action that a template is here; its id is the run's.
"""
