"""Local engines: how to initialise and start a real server from binaries, with nothing installed system-wide."""
