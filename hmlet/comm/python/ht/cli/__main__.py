"""``python -m ht.cli``."""

from ht.cli.entry import main

main()
