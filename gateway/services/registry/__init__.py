"""What changes the document registry: submissions, metadata updates, removals. Knows no wire."""
