"""One kind of feedback a file: its checks, its wire form, what it says about pairs."""
