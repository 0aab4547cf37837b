"""Trio tasks that turn something (a socket, a file) into ticks."""
