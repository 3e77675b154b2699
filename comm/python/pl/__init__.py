"""pl: stages, and what drives them. The one check that must run before anything newer than Python 3.0 is parsed."""

import sys

if sys.version_info < (3, 11):
    _version = "%d.%d" % sys.version_info[:2]
    sys.exit("plasma needs Python 3.11 or later, and this is %s: try python3.11 %s" % (_version, sys.argv[0]))
