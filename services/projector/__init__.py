"""The projector: replays the log into the catalogue, and follows its end."""
