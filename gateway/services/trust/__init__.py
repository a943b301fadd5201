"""Who asks: node, person, client. README.md says which module checks what."""
