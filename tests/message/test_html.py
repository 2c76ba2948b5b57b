"""What a person sees of HTML, and what is only in the source."""

from __future__ import annotations

import pytest

from mailward.message import Hidden, Message, parse


def _read(html: str) -> Message:
    return parse(b"Content-Type: text/html; charset=utf-8\n\n" + html.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one<p>two", "one\ntwo"),
        ("a<br>b<div>c</div>d", "a\nb\nc\nd"),
        ("Via<b></b>gra and <i>ci</i>alis", "Viagra and cialis"),
        ("<table><tr><td>a<td>b<tr><td>c</table>", "a\nb\nc"),
        ("a&nbsp;&nbsp; b\n\n c", "a b c"),
        ("&lt;b&gt; &amp; &euro; &#8364; &#x20ac;", "<b> & € € €"),
        ("<!-- no --><p>yes<!-- no -->", "yes"),
        ("<b>never closed <p>next", "never closed\nnext"),
        ("<x-custom>shown</x-custom>", "shown"),
        ("no tags at all", "no tags at all"),
        ("", ""),
        ("<", "<"),
        ("<![CDATA[x]]>y", "y"),
        ("<select><option>one<option>two</select>", "one\ntwo"),
    ],
)
def test_visible_text(html: str, text: str) -> None:
    """Text is joined as it is shown: blocks are lines, inline elements do not split words."""
    assert _read(html).text == text


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ('<div style="display:none">x</div>', Hidden.DISPLAY),
        ('<div style="DISPLAY : NONE !important">x</div>', Hidden.DISPLAY),
        ('<div style="visibility:hidden"><p><b>x</b></div>', Hidden.DISPLAY),
        ("<div hidden>x</div>", Hidden.DISPLAY),
        ('<div style="mso-hide:all">x</div>', Hidden.DISPLAY),
        ("<style>.gone{display:none}</style><p class='a gone'>x</p>", Hidden.DISPLAY),
        ("<style>#gone, p.q {color:red; display:none}</style><p id=gone>x</p>", Hidden.DISPLAY),
        ('<span style="font-size:0">x</span>', Hidden.TINY),
        ('<span style="font-size:1px">x</span>', Hidden.TINY),
        ('<span style="font:1px/2px Arial">x</span>', Hidden.TINY),
        ('<div style="height:0;overflow:hidden">x</div>', Hidden.TINY),
        ('<div style="max-height:0px">x</div>', Hidden.TINY),
        ('<div style="opacity:0">x</div>', Hidden.TINY),
        ('<font color="white">x</font>', Hidden.COLOUR),
        ('<font color="#fefefe">x</font>', Hidden.COLOUR),
        ('<p style="color:#FFF">x</p>', Hidden.COLOUR),
        ('<p style="color:rgb(255, 255, 250)">x</p>', Hidden.COLOUR),
        ('<table bgcolor="#000000"><tr><td><font color=black>x</font></table>', Hidden.COLOUR),
        ('<div style="background:#123456"><span style="color:#123457">x</span></div>', Hidden.COLOUR),
        ("<style>td{background-color:red}</style><table><tr><td><font color=red>x</font></table>", Hidden.COLOUR),
        ('<p style="text-indent:-9999px">x</p>', Hidden.OFFSCREEN),
        ('<p style="position:absolute;left:-2000px">x</p>', Hidden.OFFSCREEN),
        ("<title>x</title>", Hidden.SOURCE),
        ("<!-- x -->", Hidden.SOURCE),
        ("<noscript>x</noscript>", Hidden.SOURCE),
    ],
)
def test_hidden_text_is_kept_apart(html: str, reason: Hidden) -> None:
    """Text nobody sees is not in the text, but in the hidden text, with its reason and length."""
    m = _read(f"<p>before</p>{html}<p>after</p>")
    assert m.text == "before\nafter"
    assert m.hidden_text == "x"
    assert m.html.hidden == ((reason, 1),)


@pytest.mark.parametrize(
    "html",
    [
        '<div style="font-size:0"><span style="font-size:14px">x</span></div>',  # a layout trick of many newsletters
        '<td bgcolor="#000000"><font color="#ffffff">x</font></td>',
        '<div style="background:#000"><p style="color:#fff">x</p></div>',
        '<div style="background:url(http://img.test/dark.png)"><p style="color:#fff">x</p></div>',
        '<p style="color:white"><a href="http://a.test/">x</a></p>',  # links have their own colour
        "<style>@media only screen and (max-width:600px){.hide{display:none}}</style><p class=hide>x</p>",
        '<div style="height:0">x</div>',  # what flows over is shown
        '<p style="text-indent:-5px">x</p>',
        '<p style="color:#eee">x</p>',
        '<p style="opacity:0.5">x</p>',
        '<div style="display:block">x</div>',
        '<p style="color:inherit;font-size:large">x</p>',
    ],
)
def test_visible_text_is_not_taken_for_hidden(html: str) -> None:
    """Usual layout is no hiding."""
    html = f"<table><tr>{html}</table>" if html.startswith("<td") else html
    assert _read(html).text == "x"


def test_code_is_neither_seen_nor_hidden_text() -> None:
    """Style sheets and scripts are counted, not read."""
    m = _read("<style>p{color:red}</style><script>alert(1)</script><p onclick='x()'>y")
    assert (m.text, m.hidden_text) == ("y", "")
    assert (m.html.style_length, m.html.scripts) == (12, 2)


def test_zero_width_characters_are_taken_out_and_counted() -> None:
    """Invisible characters that split words are removed; joiners that a script needs are not counted."""
    m = _read("Pay\u200bPal v\u00adi\u2060agra \ufeff!")
    assert m.text == "PayPal viagra !"
    assert m.html.hidden == ((Hidden.ZERO_WIDTH, 4),)
    assert _read("می\u200cخواهم \U0001f468\u200d\U0001f469").html.hidden == ()
    plain = parse("Subject: a\u200bb\n\nc\u200bd \U000e0041".encode())
    assert (plain.subject, plain.text) == ("ab", "cd")
    assert plain.html.hidden == ((Hidden.ZERO_WIDTH, 3),)


def test_counts() -> None:
    """What stands in the HTML is counted."""
    m = _read(
        "<title> The  title </title><form action='http://f.test/'><input name=a><input type=password><input type=hidden><textarea></textarea></form>"
        "<img src='http://i.test/a.gif' width=1 height='1px'><img src='cid:x'><img src='http://i.test/b.gif'><iframe src='http://fr.test/'></iframe>"
        "<table><tr><td background='http://i.test/c.gif'>x</table><blah>y</blah><o:p>z</o:p><!--[if mso]>no<![endif]--><!-- abc -->"
    )
    h = m.html
    assert (h.forms, h.inputs, h.password_inputs, h.images, h.inline_images, h.tracking_pixels) == (1, 3, 1, 3, 1, 1)
    assert (h.frames, h.tables, h.unknown_tags, h.comments, h.title) == (1, 1, 1, 3, "The title")
    assert h.tags > 15
    assert 5 <= h.depth <= 8


def test_the_preview_line_is_found() -> None:
    """The first short hidden text of a newsletter is its preheader."""
    m = _read('<body><div style="display:none">Only today: half price &zwnj;&nbsp;&zwnj;&nbsp;</div><p>Dear customer')
    assert m.html.preheader == "Only today: half price"


def test_a_charset_in_meta_counts_where_none_is_declared() -> None:
    """HTML that only declares its charset inside is read by that."""
    m = parse(
        b'Content-Type: text/html\n\n<meta http-equiv="Content-Type" content="text/html; charset=koi8-r"><p>' + "Привет".encode("koi8-r")
    )
    assert m.text == "Привет"
    assert m.html.charset_meta == "koi8-r"


def test_several_html_parts_are_counted_together() -> None:
    """Counts and texts of all HTML bodies add up."""
    part = b"--b\nContent-Type: text/html\n\n<p>x<img src=http://a.test/1>\n"
    m = parse(b"Content-Type: multipart/mixed; boundary=b\n\n" + part + part + b"--b--\n")
    assert m.text == "x\nx"
    assert m.html.images == 2


@pytest.mark.parametrize(
    ("css", "colour"),
    [("#fff", 0xFFFFFF), ("#123456", 0x123456), ("ffffff", 0xFFFFFF), ("RED", 0xFF0000), ("rgb(1,2,3)", 0x010203), ("rgba(1 2 3 / 50%)", 0x010203),
     ("rgba(0,0,0,0)", None), ("inherit", None), ("#12", None), ("", None), ("#ggg", None)],
)  # fmt: skip
def test_colours(css: str, colour: int | None) -> None:
    """Colours in all forms mail uses."""
    from mailward.message import style

    assert style.colour(css) == colour
