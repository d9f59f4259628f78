"""`python -m tinydl`: the command line."""

import sys

from tinydl.cli import main

sys.exit(main())
