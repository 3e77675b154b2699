"""Pure functions over image bytes. Nothing here knows of Django, of a database or of a network."""
