"""How bytes travel: the carrier seam, and pyzmq behind it."""
