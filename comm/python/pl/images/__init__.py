"""Images: tagged by what they are made of, built by skaffold, pushed to the stage's registry."""
