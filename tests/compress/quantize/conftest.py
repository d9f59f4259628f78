"""Networks and batches that several test modules of this folder quantize."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
