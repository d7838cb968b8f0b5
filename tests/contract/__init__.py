"""What every way to an engine has to do alike."""
