"""Real servers from packages alone: nothing to install, everything can be killed."""
