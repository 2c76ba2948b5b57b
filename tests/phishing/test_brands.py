"""Which brand a name claims, and whose a domain is."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.message.domains import registrable
from mailward.phishing.brands import MAX_NAME, Brands, Name, Needs, made, table
from mailward.phishing.skeletons import compact, skeleton, words


def claimed(name: str) -> str | None:
    brand = table().claimed(name)
    return brand.name if brand else None


@pytest.mark.parametrize(
    ("shown", "brand"),
    [
        ("PayPal", "PayPal"),
        ("service@paypal.com", "PayPal"),
        ("Pay Pal Kundenservice", "PayPal"),
        ("PayPalSupport", "PayPal"),
        ("P a y P a l", "PayPal"),
        ("f.e.d.e.x", "FedEx"),
        ("Micr0soft account team", "Microsoft"),
        ("MICROSOFT 365 Security", "Microsoft"),
        ("\\|BANCO*DO*BRASIL|/", "Banco do Brasil"),
        ("Trust WaIIet", "Trust Wallet"),  # capital i for l
        ("PаyPаl", "PayPal"),  # Cyrillic
        ("ꮮеdgеr", "Ledger"),  # Cherokee and Cyrillic
        ("Trust\u200b Wal\u200blet", "Trust Wallet"),  # zero width
        ("C\U000e01eeoin\U000e01eebase", "Coinbase"),  # variation selectors
        ("ʟᴏᴡᴇ's ᴅᴇᴘᴀʀᴛᴍᴇɴᴛ", "Lowe's"),
        ("楽天カード株式会社", "Rakuten Card"),
        ("Société Générale", "Société Générale"),
        ("Apple", "Apple"),
        ("Apple Support", "Apple"),
        ("Chase Bank Alerts", "Chase"),
        ("IRS.gov", "IRS"),
    ],
)
def test_a_name_is_claimed_however_it_is_written(shown, brand):
    """In pieces, in other scripts, with what cannot be seen, with digits, beside words of a service."""
    assert claimed(shown) == brand


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Apple Smith",
        "Fiona Apple",
        "Chase",
        "Ann Chase",
        "Orange Street Church",
        "Erika Target",
        "Jane Wise",
        "Ali Visa Consulting",
        "Li Ming",
        "D. H. Lawrence",
        "Uber den Wolken Verein",
        "Tim Cook",
        "Mike Dell Junior",
        "qiu@gmail.com",
        "Delta Omega",
        "Bell Hooks",
        "Weekly Discover",
    ],
)
def test_ordinary_words_and_names_of_people_claim_nothing(shown):
    """A brand that is called like a word or a person takes more than the word."""
    assert claimed(shown) is None


@pytest.mark.parametrize(
    ("brand", "domain", "true"),
    [
        ("PayPal", "paypal.com", True),
        ("PayPal", "mail.paypal.de", True),
        ("PayPal", "paypal.com.evil.net", False),
        ("PayPal", "paypal.evil.de", False),
        ("Amazon", "amazon.co.uk", True),
        ("Amazon", "amazon.tk", False),  # sold to anybody
        ("Amazon", "amazonses.com", False),  # anybody's mail
        ("Microsoft", "outlook.com", False),  # anybody's address
        ("Microsoft", "accountprotection.microsoft.com", True),
        ("Yahoo", "yahoo.com", False),
        ("Yahoo", "reply.yahoo.com", True),  # a host of its own
        ("DHL", "noreply.dhl", True),  # its top-level domain
        ("Receita Federal", "receita.fazenda.gov.br", True),
        ("Sparkasse", "sparkasse-bochum.de", True),
        ("Sparkasse", "sparkasse-sicherheit.de", False),
        ("Sparkasse", "sparkasse-bochum.xyz", False),
    ],
)
def test_true_domains(brand, domain, true):
    """Countries, hosts below, top-level domains of brands and houses of a group are true; addresses that anybody can have are not."""
    named = next(each for each in table() if each.name == brand)
    assert table().is_true(named, domain) is true


def test_the_table_is_sound():
    """At least 300 brands of every kind; each domain can be one; no name stands twice; each brand claims itself somehow."""
    brands = table()
    assert len(brands) >= 300
    assert {"bank", "parcel", "payment", "crypto", "telecom", "government", "retail", "social"} <= {brand.kind for brand in brands}
    names = [brand.name for brand in brands]
    assert len(names) == len(set(names))
    for brand in brands:
        assert brand.domains or brand.countries, brand.name
        for domain in (*brand.domains, *brand.shared):
            assert domain == domain.lower()
            assert "." not in domain or registrable(domain) or registrable(f"x.{domain}"), domain
        assert all(len(label) > 2 for label in brand.labels), brand.name
        told = [brands.claims(f"{name.text} Kundenservice") for name in brand.names]
        assert any(brand in found for found in told), brand.name


def test_brands_own_their_domains():
    """What one brand has alone is true for it, and the owner of each domain is a brand that has it."""
    for brand in table():
        for domain in brand.domains:
            assert table().is_true(brand, domain), (brand.name, domain)
            assert domain in table().of_domain(domain).domains


def test_an_operator_adds_brands():
    """They are found as the others are."""
    own = Brands([made("Contoso Bank", "own", ["contoso.com"], [Name("CB", Needs.SERVICE)])])
    assert own.claimed("C0ntoso Bank").name == "Contoso Bank"
    assert own.claimed("CB Security").name == "Contoso Bank"
    assert own.claimed("CB") is None
    assert own.is_true(own.all[0], "mail.contoso.com")


@pytest.mark.parametrize(
    "hostile", ["a b " * 5000, "I1l" * 5000, "А" * 20000, "é" * 20000, "aB" * 9000, "paypal" * 3000, "@" * 20000, "a@" * 9000]
)
def test_hostile_names_cost_little(hostile):
    """Whoever writes a display name decides its length, not what it costs."""
    begin = time.process_time()
    table().claimed(hostile)
    assert time.process_time() - begin < 0.05


@given(st.text(max_size=MAX_NAME + 50))
def test_any_name_can_be_asked_about(shown):
    """Nothing raises, and looking twice sees the same."""
    assert table().claims(shown) == table().claims(shown[:MAX_NAME])
    assert skeleton(skeleton(shown)) == skeleton(skeleton(skeleton(shown)))
    assert all(words(shown))
    assert compact(shown) == compact(shown).lower()
