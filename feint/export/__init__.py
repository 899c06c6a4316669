"""A run as one graph that other programs can run, checked against the run before it is written.

The graph takes bytes at the network's size and gives score, p-value, label and map. What makes one needs torch
(`exporting`, `graph`, `parity`, `writers`); what scores with one does not (`manifest`, `runtimes`, `scoring`).
"""
