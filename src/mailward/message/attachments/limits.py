"""What looking into the attachments of one message may cost. A limit reached is a finding, never an error."""

ATTACHMENTS = 50  # of a message itself; real mail has up to 20
DEPTH = 5  # containers in containers; people stop at two
DIRECTORY = 10_000  # entries an archive may name; more are not even listed
ENTRIES = 1_000  # entries of all archives together that are read
ENTRY_BYTES = 8 << 20  # unpacked bytes read of one entry
TOTAL_BYTES = 64 << 20  # unpacked bytes of all entries together
TEXT_CHARS = 1 << 20  # text searched of one file
NAME_CHARS = 300  # of a name that is shown
URLS = 500  # addresses kept of all attachments together
XZ_MEMORY = 64 << 20  # bytes an xz stream may ask for
