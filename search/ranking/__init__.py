"""Whether a supernet ranks archs as stand-alone training does: which archs to ask, and what to say of the answer."""
