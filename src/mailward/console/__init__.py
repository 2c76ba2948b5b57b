"""The web side: pages for people and the API for programs, by one FastAPI application.

app          puts the rooms together; `create` is what a server runs
access       who is asking, and what may they: tokens, forms, the machine's own people
gate         before and after every request: size, headers, who
rates        how often one client may do something
findings     what a person or program is told of an address
delisting    requests to be taken off, and what becomes of them
intake       evidence and lists from outside
pages        templates, and errors in the same style
views/       the pages
api/         the routes below /api/v1
"""

from mailward.console.app import config, create

__all__ = ["config", "create"]
