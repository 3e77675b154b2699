#!/usr/bin/env python3
"""Open a shell in a stage: hmlet/shell.py STAGE [-- CMD ARGS]."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../comm/python"))

from pl.shell import main

main(__file__)
