"""Words and messages that several jobs share."""
