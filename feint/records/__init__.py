"""What Feint writes down: the typed records behind `run.json`, `metrics.jsonl` and the tables. No torch."""
