"""`python -m scoresvc` is the command `scoresvc`."""

import sys

from scoresvc.cli import main

if __name__ == "__main__":
    sys.exit(main())
