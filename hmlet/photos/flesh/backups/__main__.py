"""Backups without a stage: ``python -m backups check FILE --identity KEYS`` and ``... open FILE --identity KEYS``.

``check`` reads all of a backup and prints, as JSON, its header and its end. ``open`` writes what is in it, decrypted
and verified, to standard output: an archive of the named sections. Both end with 1 and a line that says why where it
is not good. Whoever calls this needs the private key, and no setting of the platform.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from backups.archive import SECTIONS, ArchiveInvalid, archive_copy, archive_verify
from backups.sealed import KeyInvalid, SealBroken, identities_read, opened


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m backups")
    parser.add_argument("what", choices=("check", "open"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--identity", type=Path, required=True, help="a file with private keys of age")
    parser.add_argument("--sections", default=",".join(SECTIONS), help="what is to be written, with commas")
    asked = parser.parse_args(words)
    try:
        identities = identities_read(asked.identity)
        with asked.file.open("rb") as source, opened(source, identities) as plain:
            if asked.what == "check":
                header, end = archive_verify(plain)
                sys.stdout.write(json.dumps({"header": header, "end": end}) + "\n")
            else:
                with os.fdopen(os.dup(1), "wb") as target:
                    archive_copy(plain, target, frozenset(asked.sections.split(",")))
    except (ArchiveInvalid, SealBroken, KeyInvalid) as error:
        return _ended(str(error))
    except BrokenPipeError:
        # As a shell tells of who ended by SIGPIPE: the reader knows why.
        return 128 + signal.SIGPIPE
    except OSError as error:
        return _ended(f"{error.filename or asked.file}: {error.strerror}")
    return 0


def _ended(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
