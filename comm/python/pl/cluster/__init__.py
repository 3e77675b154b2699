"""Clusters: kind's and others', and how they are reached.

``platform`` is what a project says about what runs there; ``api`` asks a cluster; ``kind`` and ``existing`` are the two
ways to have one; ``identity`` sees to it that it is the right one. What is installed there is ``pl.release``'s affair.
"""
