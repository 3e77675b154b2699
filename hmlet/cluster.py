#!/usr/bin/env python3
"""Work on a stage of hmlet, inside its shell: bootstrap, deploy, status, logs, ... (--help lists all)."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../comm/python"))

from pl.entry import cluster

cluster(__file__, "hmlet.project:PROJECT")
