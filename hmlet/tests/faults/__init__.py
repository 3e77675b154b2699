"""What can go wrong under a stage, each thing tried on a throw-away one: ``python -m hmlet.tests.faults``."""
