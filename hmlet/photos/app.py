#!/usr/bin/env python3
"""Work on the photos app of a stage, inside its shell: terminal, logs, test, ... (--help lists all)."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../comm/python"))

from pl.entry import app

app(__file__, "hmlet.project:PROJECT", programs=("web", "worker", "beat"))
