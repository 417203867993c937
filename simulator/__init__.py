"""A fictional town office at work: raw logs as its systems write them, the site's registers, and known misuse.

It knows nothing of rules or of the model. `simulator.office.simulate` is the way in.
"""
