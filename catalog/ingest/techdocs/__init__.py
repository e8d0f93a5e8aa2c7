"""Documentation that lies beside the code: found by annotations, read, rendered, kept for reading.

`sources` says where an entity's docs are; `trees` reads there; `mkdocs` knows mkdocs.yml; `layout`
puts files of all sources into one site; `building` renders it; `storing` writes what changed;
`refresh` decides when. Nothing of a repository is ever run.
"""
