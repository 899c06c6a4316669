"""Studies: detectors x augmentations x tasks x seeds. `cell.py` is the experiment."""
