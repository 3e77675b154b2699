"""A thousand odd images through a stage: ``hmlet/shell.py host -- python -m hmlet.tests.corpus``."""
