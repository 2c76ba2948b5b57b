"""What is wanted: the policy document, its lists and their matching rules."""

from mailward.policy.actions import Action
from mailward.policy.document import THRESHOLDS, Level, Policy
from mailward.policy.lists import DomainList, NetworkList, SenderList
from mailward.policy.problems import DocumentError, EntryError, ListError, PolicyError, Problem

__all__ = [
    "THRESHOLDS",
    "Action",
    "DocumentError",
    "DomainList",
    "EntryError",
    "Level",
    "ListError",
    "NetworkList",
    "Policy",
    "PolicyError",
    "Problem",
    "SenderList",
]
