"""What looking into the attachments of one message may cost. A limit reached is a finding, never an error."""

SECONDS = 4.0  # no new file, page or picture is begun after that; what was found by then counts
ATTACHMENTS = 100  # of a message itself, pictures last; real mail has up to 20 files, newsletters up to 60 pictures
DEPTH = 5  # containers in containers; people stop at two
DIRECTORY = 10_000  # entries an archive may name; more are not even listed
ENTRIES = 1_000  # entries of all archives together that are read
ENTRY_BYTES = 8 << 20  # unpacked bytes read of one entry
TOTAL_BYTES = 64 << 20  # unpacked bytes of all entries together
SKIPPED_BYTES = 256 << 20  # bytes an archive that cannot be entered in its middle may make us unpack to get on
TEXT_CHARS = 1 << 20  # text searched of one file
NAME_CHARS = 300  # of a name that is shown
TEXT_URLS = 1_000  # addresses read of one text
URLS = 500  # addresses kept of all attachments together
XZ_MEMORY = 64 << 20  # bytes an xz stream may ask for
PASSWORDS = 60  # words of the message tried on a locked file
OFFICE_PASSWORDS = 12  # on a locked Office document: each takes 0.1 to 0.2 s
OFFICE_TURNS = 200_000  # of the digest of a password; Office writes 100,000
PASSWORD_BYTES = 1 << 20  # unpacked to see whether one fits

PICTURE_BYTES = 150  # a code of 21x21 modules with an address takes more
PICTURE_SIDE = 40  # pixels of the longer side; the shorter may be half of it: codes are cut in two
PICTURE_PIXELS = 25_000_000  # of one picture as it is decoded; telephones make 12 to 24 million
PIXELS = 120_000_000  # of all pictures and pages together
SEARCHED_SIDE = 2_400  # pixels of the longer side in which codes are looked for; larger pictures are reduced
FRAMES = 3  # of a moving picture
PAIRS = 40  # pictures joined with their neighbours
DATA_PICTURES = 20  # written into a page (`data:image/png;base64,...`)
DRAWINGS = 10  # tables and blocks of characters of one page that are read as codes
GRID = 400  # cells of a side of such a drawing; the largest code has 177

PDF_OBJECTS = 50_000  # objects looked at; 1,000 pages of a book have 10,000
PDF_STREAM_BYTES = 100 << 20  # unpacked bytes of a picture in a document
PDF_PAGE_BYTES = 16 << 20  # of any other stream
PDF_PAGES = 50  # pages whose text is read
PDF_DRAWN = 6  # pages looked at for codes: the first ones and the last
PDF_PATHS = 60  # lines and areas a page must have to be worth drawing when it has no picture
STREAMS = 500  # streams of an old Office document
CARVED = 20  # pictures and objects of one stream or rich text that are looked into
