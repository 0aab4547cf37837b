"""Wire formats, one venue a file: payloads in, ticks and notices out; no I/O, no clock."""
