"""The names of torchvision's parameters are a plain module beside the test that reads it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
