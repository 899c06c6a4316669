"""Detectors of other libraries as arms of a study; the libraries are imported where they are used."""
