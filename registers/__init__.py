"""The site folder: what an organisation declares about itself, and how Japanese text, dates and ids are read (design §6).

A leaf like `contract`: collector, detector, audit and simulator import it, it imports at most `contract`.
"""
