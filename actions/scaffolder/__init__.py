"""Software templates: a new repository, a changed one, whatever their steps make."""
