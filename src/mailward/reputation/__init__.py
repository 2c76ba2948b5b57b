"""What is known of a source of mail: the listings, the evidence behind them, and the lists of others.

evidence    what was observed of an address, as it travels from any process to the one that learns
listing     the listings themselves: databases, kinds and their DNS codes
snapshot    published listings, memory-mapped: a look-up costs microseconds and asks nobody
ip/         how listings come about: dynamic (evidence -> listing -> decay) and standard (imported lists, promoted sources)
dnsbl/      the client side: asking DNS lists, and not believing broken ones
zone/       the server side: the listings as DNS zones
"""
