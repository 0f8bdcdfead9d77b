"""Agreement of a supernet's ranking of archs with stand-alone training: sampling of archs, and statistics."""
