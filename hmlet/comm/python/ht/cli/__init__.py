"""The command line ``ht``: ``pip install ht[cli]``. Nothing else of the client imports it."""
