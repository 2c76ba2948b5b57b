"""docs/public-lists.md."""

from __future__ import annotations

import re
from pathlib import Path

from tests.dnsbl.nameserver import BAD

from mailward.policy import Policy
from mailward.policy.dnsbl import catalogue


def test_the_page_on_public_lists_tells_the_catalogue(root: Path) -> None:
    """Every list with its codes, place, terms and site; the number of bad behaviours; a policy that can be used."""
    page = (root / "docs" / "public-lists.md").read_text()
    rows = {match[1]: match[0] for match in re.finditer(r"^\| `([^`]+)` \|.*$", page, re.M)}
    assert list(rows) == list(catalogue())
    for known in catalogue().values():
        for told in (known.name, known.site, known.terms, known.database, "; ".join(code.text for code in known.codes)):
            assert told in rows[known.zone]
    assert f"behaves badly in {len(BAD)} ways" in page
    assert (
        len(Policy.from_toml(re.findall(r"```toml\n(\[email_reputation.*?)```", page, re.S)[0]).email_reputation.target.standard_lists) == 3
    )
