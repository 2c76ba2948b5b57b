"""The client side: asking DNS lists (RFC 5782), and not believing broken ones.

question    the name that is asked about an address
reading     what an answer means: listed, clear, or not to be believed
plan        which lists are asked, in which order
health      whether a list works at all: probes, and the file in which their result travels
"""
