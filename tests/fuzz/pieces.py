"""Pieces of mail, whole and broken, that the fuzzers put together."""

from __future__ import annotations

HEADERS = [
    b"From: Ann <a@example.org>", b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>", b'From: "a@b" <c@d>', b"To: g: a@b, c@d;", b"To: " + b"<" * 40,
    b"Subject: =?utf-8?B?R3LDvMOfZQ==?= =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", b"Subject: \xff\xfe\x00 8 bit", b"Subject: =?utf-7?q?+AAAA-?=",
    b"Subject: =?utf-16?B?/v8A2ADY?=", b"Received: from a (b [192.0.2.1]) by c (Postfix) with ESMTP id x; Mon, 23 Nov 2026 10:00:00 +0000",
    b"Received: from unknown (HELO x) (1.2.3.4) by y with SMTP", b"Received: from [IPv6:::1] by y", b"Received: from \xff (\xfe [::ffff:1.2.3.4]) by \xfd",
    b"Return-Path: <>", b"Delivered-To: \xff@\xfe", b"Message-ID: <\xff@x>", b"Date: x", b" folded", b"\tfolded", b"no colon", b"", b"\r", b"\x00: \x00",
    b"Content-Type: text/plain", b"Content-Type: text/html; charset=utf-8", b"Content-Type: text/html; charset=utf-7", b"Content-Type: text/html; charset=utf-16",
    b'Content-Type: multipart/mixed; boundary="b"', b"Content-Type: multipart/alternative; boundary=b", b"Content-Type: multipart/digest; boundary=b",
    b"Content-Type: multipart/related; boundary=\xff", b"Content-Type: multipart/mixed", b"Content-Type: message/rfc822", b"Content-Type: message/delivery-status",
    b"Content-Type: text/plain; name*0*=utf-8''%ff; name*1=x; charset=punycode", b'Content-Type: application/x; name="../..\\x', b"Content-Type: /", b"Content-Type: ;;;",
    b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: quoted-printable", b"Content-Transfer-Encoding: x-uuencode",
    b"Content-Disposition: attachment; filename=a.txt", b"Content-Disposition: inline", b"Content-Disposition: attachment; filename*=gb2312'zh'%c4%e3",
]  # fmt: skip
BODIES = [
    b"--b", b"--b--", b"--b \t", b"--bb", b"--\xff", b"text with http://a.test/x and www.b.test", b"R3LDvMOfZQ==", b"=C3=BC=\n", b"=", b"begin 644 x\n%:&5L;&\\\n`\nend",
    b"<p>", b"</p>", b"<div style='display:none'>", b"<div style=\"color:#fff;background:url(", b"<b>", b"</b>", b"<table><tr><td>", b"</table>", b"<a href='http://a.test/'>",
    b"</a>", b"<img src=cid:x alt='\xff'>", b"<style>.a{display:none} @media x{", b"}</style>", b"<!--", b"-->", b"<!--[if mso]>", b"<![endif]-->", b"<title>", b"</title>",
    b"<script>", b"</script>", b"<svg><foreignObject>", b"<math>", b"<template>", b"</template>", b"<select><option>", b"<textarea>", b"<plaintext>", b"<frameset>",
    b"<meta charset=utf-7>", b"<meta http-equiv=refresh content='0;url=x'>", b"&#xD800;", b"&#0;", b"&amp", b"\xe2\x80\x8b", b"\xf3\xa0\x81\x81", b"\xff\xfe", b"\x00",
    b"\x1b$B", b"~{", b"+AAAA-", b"+2AA-", b"\xed\xa0\x80", b"<font color=white>", b"<p style='font-size:0;text-indent:-999px'>", b"<form action=x><input type=password>",
    b"<a b c='>' d=\">\" ", b"<", b">", b"\"", b"'", b"\x01", b"word " * 30,
]  # fmt: skip
