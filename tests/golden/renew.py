"""Writes the golden curves anew, after a change that is meant to change them.

`python tests/golden/renew.py [NAME ...]`

Look at the difference before you commit it.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from curves import curve_of, write_curve
from every_algorithm import ALGORITHMS

if __name__ == "__main__":
    for name in sys.argv[1:] or ALGORITHMS:
        with tempfile.TemporaryDirectory() as folder:
            write_curve(name, curve_of(name, Path(folder)))
            print(name)
