"""Many communities asked at once under one deadline; docs/federation.md."""
