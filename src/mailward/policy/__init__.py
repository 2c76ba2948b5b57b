"""What is wanted: the policy document, its lists and their matching rules."""

from mailward.policy.actions import Action
from mailward.policy.advanced_spam_prevention import AdvancedSpamPrevention
from mailward.policy.authentication import ActOn, Authentication
from mailward.policy.dnsbl import ListEntry
from mailward.policy.document import Policy
from mailward.policy.email_reputation import AskAt, EmailReputation, ListedAction, ReputationLevel
from mailward.policy.levels import THRESHOLDS, Level
from mailward.policy.lists import DnsLists, DomainList, DomainLists, NetworkList, SenderList
from mailward.policy.message_action import MessageAction
from mailward.policy.new_spam_sources import NewSpamSources
from mailward.policy.people import BrandList, PeopleList
from mailward.policy.problems import DocumentError, EntryError, ListError, PolicyError, Problem
from mailward.policy.urls import UrlList
from mailward.policy.web_reputation import WebLevel, WebReputation

__all__ = [
    "THRESHOLDS",
    "ActOn",
    "Action",
    "AdvancedSpamPrevention",
    "AskAt",
    "Authentication",
    "BrandList",
    "DnsLists",
    "DocumentError",
    "DomainList",
    "DomainLists",
    "EmailReputation",
    "EntryError",
    "Level",
    "ListEntry",
    "ListError",
    "ListedAction",
    "MessageAction",
    "NetworkList",
    "NewSpamSources",
    "PeopleList",
    "Policy",
    "PolicyError",
    "Problem",
    "ReputationLevel",
    "SenderList",
    "UrlList",
    "WebLevel",
    "WebReputation",
]
