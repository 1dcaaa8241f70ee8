import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "fusion"))
sys.path.insert(0, str(Path(__file__).parents[2] / "models"))
sys.path.insert(0, str(Path(__file__).parent))
