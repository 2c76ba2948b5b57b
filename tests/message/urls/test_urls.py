"""Every URL of a message is found in all disguises and read as a browser reads it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import quote

import can_ada
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.message import limits, parse
from mailward.message.urls import FoundUrl, urls_of

_HEAD = "From: a@sender.example.org\nTo: b@example.net\nMIME-Version: 1.0\n"


def found(subject: str = "hello", body: str = "", kind: str = "plain") -> tuple[FoundUrl, ...]:
    encoded = "=?utf-8?b?" + base64.b64encode(subject.encode()).decode() + "?=" if subject else ""
    raw = f"{_HEAD}Subject: {encoded}\nContent-Type: text/{kind}; charset=utf-8\n\n{body}\n"
    return urls_of(parse(raw.encode("utf-8", "surrogatepass")))


def urls(body: str, kind: str = "plain") -> list[str]:
    return [url.url for url in found(body=body, kind=kind)]


def _subject(form: str) -> tuple[FoundUrl, ...]:
    return found(subject="Please open " + form)


def _text(form: str) -> tuple[FoundUrl, ...]:
    return found(body=f"Dear customer,\nopen {form} today\nor never")


def _html_text(form: str) -> tuple[FoundUrl, ...]:
    return found(body=f"<html><body><p>Dear customer,</p><p>open <b>{form}</b> today</p></body></html>", kind="html")


def _attribute(template: str) -> Callable[[str], tuple[FoundUrl, ...]]:
    return lambda form: found(body=template.replace("URL", form), kind="html")


_TEXTS = {"subject": _subject, "text": _text, "html text": _html_text}
_ELEMENTS = {
    "a": _attribute('<p><a href="URL">Your account</a>'),
    "form": _attribute('<form action="URL"><input name=a></form>'),
    "img": _attribute('<img src="URL">'),
    "area": _attribute('<map><area href="URL"></map>'),
    "refresh": _attribute('<meta http-equiv="refresh" content="0; url=URL"><p>x'),
}
_FORMS = {
    "plain": ("https://evil.example.com/a", "https://evil.example.com/a"),
    "upper case": ("HTTPS://EVIL.Example.COM/A", "https://evil.example.com/A"),
    "credentials": ("http://bank.example@evil.example.com/a", "http://bank.example@evil.example.com/a"),
    "decimal": ("http://3221225985/a", "http://192.0.2.1/a"),
    "hex": ("http://0xc0.0x0.0x2.0x1/a", "http://192.0.2.1/a"),
    "octal": ("http://0300.0.02.01/a", "http://192.0.2.1/a"),
    "short": ("http://192.513/a", "http://192.0.2.1/a"),
    "percent host": ("http://ev%69l.example.com/a", "http://evil.example.com/a"),
    "full-width host": ("http://ｅｖｉｌ.example.com/a", "http://evil.example.com/a"),
    "ideographic dot": ("http://evil。example。com/a", "http://evil.example.com/a"),
    "zero-width": ("http://ev\u200bil.example.com/a", "http://evil.example.com/a"),
    "IDN": ("http://bücher.example.com/a", "http://xn--bcher-kva.example.com/a"),
    "dotless": ("http://intranet/a", "http://intranet/a"),
    "port": ("https://evil.example.com:443/a", "https://evil.example.com/a"),
}
_REPAIRED = {
    "hxxp": ("hxxp://evil.example.com/a", "http://evil.example.com/a"),
    "hXXps": ("hXXps://evil.example.com/a", "https://evil.example.com/a"),
    "brackets": ("https://evil[.]example[.]com/a", "https://evil.example.com/a"),
    "both": ("hxxps://evil[.]example[.]com/a", "https://evil.example.com/a"),
    "words": ("evil (dot) example (dot) com/a", "http://evil.example.com/a"),
    "bare brackets": ("evil[.]example[.]com", "http://evil.example.com/"),
    "colon": ("hxxp[:]//evil[.]example.com/a", "http://evil.example.com/a"),
    "full-width scheme": ("https：／／evil．example．com／a", "https://evil.example.com/a"),
    "bare IDN": ("пример.рф/a", "http://xn--e1afmkfd.xn--p1ai/a"),
    "backslashes": (r"http:\\evil.example.com\a", "http://evil.example.com/a"),
}
_LINKED = {
    "backslashes": (r"http:\\evil.example.com\a", "http://evil.example.com/a"),
    "one slash": ("http:/evil.example.com/a", "http://evil.example.com/a"),
    "no slash": ("http:evil.example.com/a", "http://evil.example.com/a"),
    "no scheme": ("//evil.example.com/a", "https://evil.example.com/a"),
    "bare": ("www.evil.example.com/a", "http://www.evil.example.com/a"),
    "tabs": ("ht\ttp://evil.exa\nmple.com/a", "http://evil.example.com/a"),
    "double entities": ("http:&amp;#47;&amp;#47;evil.example.com/a", "http://evil.example.com/a"),
    "program": ("ms-word:ofe|u|https://evil.example.com/a", "https://evil.example.com/a"),
}


@pytest.mark.parametrize("place", [*_TEXTS, *_ELEMENTS])
@pytest.mark.parametrize("form", _FORMS)
def test_every_form_is_found_in_every_place(form: str, place: str) -> None:
    """Whatever a browser reads in an address is found, in the subject, in texts and in elements."""
    written, url = _FORMS[form]
    one = next(one for one in ({**_TEXTS, **_ELEMENTS})[place](written) if one.url == url)
    assert one.found_in == (place if place in {"subject", "text"} else "html")


@pytest.mark.parametrize("place", _TEXTS)
@pytest.mark.parametrize("form", _REPAIRED)
def test_what_people_are_told_to_repair_is_repaired(form: str, place: str) -> None:
    """Defanged and foreign forms in plain sight become the address that is meant, and are kept as they stood."""
    written, url = _REPAIRED[form]
    one = next(one for one in _TEXTS[place](written) if one.url == url)
    assert one.written == written


@pytest.mark.parametrize("place", _ELEMENTS)
@pytest.mark.parametrize("form", _LINKED)
def test_what_a_browser_opens_from_an_element_is_found(form: str, place: str) -> None:
    """Elements take forms that text does not."""
    written, url = _LINKED[form]
    assert url in [one.url for one in _ELEMENTS[place](written)]


@pytest.mark.parametrize(
    "written", ["mailto:a@example.com", "tel:+4930", "cid:1@example.com", "#top", "", "page.html", "http://a b.com/", "about:blank"]
)
def test_what_leads_nowhere_is_no_url(written: str) -> None:
    """Mail addresses, numbers, parts of the message and places on the page are no URLs."""
    assert urls(f'<a href="{written}">x</a>', "html") == []


def test_relative_links_follow_the_base() -> None:
    """With <base> a relative link leads there; the base itself is told too."""
    assert urls('<base href="https://evil.example.com/a/"><a href="b?c">x</a><a href="/d">y</a>', "html") == [
        "https://evil.example.com/a/",
        "https://evil.example.com/a/b?c",
        "https://evil.example.com/d",
    ]


def test_links_inside_of_data_and_scripts() -> None:
    """Pages within links are read, and literal addresses of scripts."""
    page = '<a href="https://one.example.com/">x</a><script>location="https://two.example.com/"</script>'
    for written in ("data:text/html," + quote(page), "data:text/html;base64," + base64.b64encode(page.encode()).decode()):
        assert urls(f'<a href="{written}">x</a>', "html") == ["https://one.example.com/", "https://two.example.com/"]
    assert urls("""<a href="javascript:window.open('//three.example.com/')">x</a>""", "html") == ["https://three.example.com/"]


def test_broken_lines_are_joined() -> None:
    """A URL within <...> or one that fills its line goes on in the next one."""
    long = "https://evil.example.com/" + "a" * 51
    assert "https://evil.example.com/account/verify" in urls("see <https://evil.exam\nple.com/account/\nverify> now")
    assert long + "/b?c=1" in urls(f"{long}\n/b?c=1 and more")
    assert long + "and" not in urls(f"{long}\nand more")
    assert long + "_" * 40 not in urls(f"{long}\n{'_' * 40}")


def test_text_and_place_are_told_and_the_first_place_counts() -> None:
    """One address is told once, with the text on it, where it stood first."""
    body = '<a href="https://evil.example.com">Your <b>bank</b></a> https://evil.example.com/'
    assert found(body=body, kind="html") == (FoundUrl("https://evil.example.com/", "https://evil.example.com", "Your bank", "html"),)
    assert found(subject="https://evil.example.com", body=body, kind="html")[0].found_in == "subject"


def test_ascii_before_other_scripts_is_an_address_of_its_own() -> None:
    """Where the sentence goes on in another script, the address before it counts too."""
    assert "http://evil.example.com/" in urls("見る http://evil.example.com。次の文")
    assert urls("於網站maplecart.example.com") == ["http://maplecart.example.com/"]


_T = "https://evil.example.com/a?b=c"
_Q = quote(_T, safe="")
_B = base64.urlsafe_b64encode(_T.encode()).decode().rstrip("=")
_WRAPPERS = {
    "Safe Links": f"https://nam02.safelinks.protection.outlook.com/?url={_Q}&data=05%7C01&reserved=0",
    "Proofpoint v1": f"https://urldefense.proofpoint.com/v1/url?u={_Q}&k=abc",
    "Proofpoint v2": "https://urldefense.proofpoint.com/v2/url?u=https-3A__evil.example.com_a-3Fb-3Dc&d=DwMF",
    "Proofpoint v3": "https://urldefense.com/v3/__https://evil.example.com/a*b=c__;Pw!!Abc!Def$",
    "Barracuda": f"https://linkprotect.cudasvc.com/url?a={_Q}&c=E,1",
    "Cisco": f"https://secure-web.cisco.com/1abcDEF/{_Q}",
    "Trend Micro": f"https://imsva91-ctp.trendmicro.com:443/wis/clicktime/v1/query?url={_Q}&umid=1",
    "Sophos": f"https://eu-central-1.protection.sophos.com/?d=example.com&u={_B}&i=1",
    "FortiMail": f"https://mail.example.org/fmlurlsvc/?fewReq=:B:1&url={_Q}",
    "Google": f"https://www.google.com/url?sa=t&q={_Q}&usg=x",
    "Google AMP": "https://www.google.com/amp/s/evil.example.com/a?b=c",
    "Facebook": f"https://l.facebook.com/l.php?u={_Q}&h=x",
    "Tumblr": f"https://t.umblr.com/redirect?z={_Q}&t=x",
    "Yahoo": f"https://r.search.yahoo.com/_ylt=x/RV=2/RE=1/RO=10/RU={_Q}/RK=2/RS=x",
    "Bing": f"https://www.bing.com/ck/a?!&&p=x&u=a1{_B}&ntb=1",
    "twice": f"https://track.example.org/r?x=1&to={quote(_Q)}&y=2",
    "path": f"https://open.example.org/go/{_T}",
    "fragment": f"https://open.example.org/#{_T}",
}


@pytest.mark.parametrize("name", _WRAPPERS)
def test_wrappers_are_opened(name: str) -> None:
    """Both the wrapper and its target are told; nothing is asked."""
    wrapper, target = found(body=f'<a href="{_WRAPPERS[name]}">Open</a>', kind="html")
    assert wrapper.unwrapped_from == ""
    assert (target.url, target.unwrapped_from, target.text) == (_T, wrapper.url, "Open")


def test_mimecast_tells_the_host_only() -> None:
    """Mimecast writes the host of the target beside its code."""
    assert urls("https://protect-eu.mimecast.com/s/abc?domain=evil.example.com")[1:] == ["https://evil.example.com/"]


def test_wrappers_within_wrappers_end() -> None:
    """Wrappers are opened three deep."""
    url = _T
    for i in range(5):
        url = f"https://w{i}.example.org/?url={quote(url, safe='')}"
    assert len([one for one in urls(f'<a href="{url}">x</a>', "html") if "evil" not in one[:30]]) <= 1 + limits.URL_DEPTH * 5


def test_the_number_is_bounded() -> None:
    """Never more URLs than links are kept."""
    assert len(urls("".join(f"https://x.example.com/?u=https://t{i}.example.com/{i}\n" for i in range(1000)))) == limits.LINKS


@given(
    st.text(max_size=200) | st.sampled_from([written for written, _ in (*_FORMS.values(), *_REPAIRED.values(), *_LINKED.values())]),
    st.text(max_size=30),
)
def test_whatever_is_written_the_answer_is_sound(text: str, more: str) -> None:
    """Never an error; every URL is bounded and read by a browser as it is."""
    try:
        (text + more).encode()
    except UnicodeEncodeError:
        return
    for one in (
        *found(text, f"{text} hxxp://{more}[.]com {more}"),
        *found("", f'<base href="{more}"><a href="{text}{more}">{more}{text}</a>', "html"),
    ):
        assert str(can_ada.parse(one.url).href) == one.url
        assert len(one.url) <= limits.URL_LENGTH
        assert one.url.startswith(("http://", "https://", "ftp://"))
