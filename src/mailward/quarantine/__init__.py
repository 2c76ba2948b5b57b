"""What was held back: one file a message, one state a message."""

from mailward.quarantine.vault import (
    AlreadyDecided,
    Entry,
    Held,
    InterruptedRelease,
    NotHeld,
    NotSent,
    State,
    Vault,
    VaultFull,
)

__all__ = [
    "AlreadyDecided",
    "Entry",
    "Held",
    "InterruptedRelease",
    "NotHeld",
    "NotSent",
    "State",
    "Vault",
    "VaultFull",
]
