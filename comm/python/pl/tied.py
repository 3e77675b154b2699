"""What a program is started through that must not outlive its parent: ``python tied.py PARENT SIGNAL ARGV...``.

Asks the kernel to send SIGNAL (a number) when the process PARENT ends, however it ends, and becomes the program. Where
the kernel has no such promise to give, the program is started all the same.

Standard library only, and little of it: this runs before each start.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    # A parent in the background of a script ignores it, and would hand that down.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent, death_signal, argv = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:
        sys.exit("the parent is gone already")
    try:
        os.execvp(argv[0], argv)  # noqa: S606
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
