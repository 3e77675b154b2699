"""The command lines: the only modules that import typer and rich, and the only ones that print."""
