"""The door for people: one thin file a command, parse > call > render."""
