"""What is known of those who wrote a message, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """None, "" and False where nobody looked or nothing can be said: then nothing speaks against anybody."""

    first_contact: bool | None = None  # no address of From ever had mail delivered here, and nobody here wrote to it
    first_of_domain: bool | None = None  # the same for everybody at its domain
    written_to: bool = False  # one of our users wrote to the address
    thread: str = (
        ""  # "known": a conversation that passed here; "unknown": one of which no message ever did; "": no conversation, or not known
    )
    named_internal: tuple[str, ...] = ()  # display names of From that people here bear


UNKNOWN = Acquaintance()
