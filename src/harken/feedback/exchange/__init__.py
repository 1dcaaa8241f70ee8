"""The doors through which feedback that was collected elsewhere comes in."""
