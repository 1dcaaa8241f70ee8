"""What makes an architecture special, one small file each, found by the class of its configuration."""
