#!/usr/bin/env python3
"""Open a shell of the app in a stage: hmlet/photos/shell.py STAGE [-- CMD ARGS]."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../comm/python"))

from pl.shell import main

main(__file__)
