"""One module for each API: a client class, its resources, and the dataclasses that they take and give."""
