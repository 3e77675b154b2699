"""Releases: planned by comparing three states of them, then applied, watched and, when they fail, taken back."""
