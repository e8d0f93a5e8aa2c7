"""From what a rule says to SQL: `compiling.compile_scorecard` is the door.

Rules in Port's conditions, in CQL and in JQ all become the same thing, a `Compiled`: SQL
expressions on Entity. `judging` makes the one statement of them that evaluates a scorecard.
"""
