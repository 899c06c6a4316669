"""The main job: `tune` makes a run, `score` uses it, `evaluate` alone opens labels."""
