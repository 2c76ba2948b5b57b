"""Files that hold an address, made here: by libraries, by the real programs, or octet by octet where there is no program."""

from __future__ import annotations

import base64
import gzip
import io
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from functools import cache
from html import unescape
from itertools import groupby, pairwise
from pathlib import Path

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name
from PIL import Image

VECTORS = Path(__file__).parent.parent.parent / "vectors" / "attachments"
PASSWORD = "s3cret-77"
ANNOUNCED = f"Dear customer,\nyour invoice is attached, the password is: {PASSWORD}\nBest regards"
TYPES = b"<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>"


def program(name: str, *arguments: object, cwd: str | None = None) -> bytes:
    """What a program of Debian writes; the test is left out where there is none."""
    if shutil.which(name) is None:
        pytest.skip(f"needs the program {name}: run tests/packages as root")
    return subprocess.run([name, *map(str, arguments)], cwd=cwd, check=True, capture_output=True).stdout


# archives


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _by_program(ending: str, files: dict[str, bytes], command: tuple[str, ...]) -> bytes:
    """An archive made by a program that is called with the archive's name and the folder in which the files lie."""
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / "in"
        inside.mkdir()
        for name, content in files.items():
            (inside / name).write_bytes(content)
        out = Path(folder) / f"a.{ending}"
        program(*(word.format(out=out) for word in command), cwd=str(inside))
        return out.read_bytes()


def seven_zip(files: dict[str, bytes], *options: str) -> bytes:
    return _by_program("7z", files, ("7z", "a", *options, "{out}", "."))


def locked_zip(files: dict[str, bytes], method: str = "ZipCrypto", password: str = PASSWORD) -> bytes:
    return _by_program("zip", files, ("7z", "a", "-tzip", f"-p{password}", f"-mem={method}", "{out}", "."))


def iso(files: dict[str, bytes]) -> bytes:
    return _by_program("iso", files, ("genisoimage", "-quiet", "-J", "-r", "-o", "{out}", "."))


def iso_by_xorriso(files: dict[str, bytes]) -> bytes:
    return _by_program("iso", files, ("xorriso", "-as", "mkisofs", "-quiet", "-o", "{out}", "."))


def zstandard(content: bytes) -> bytes:
    return _by_program("zst", {"a.tar": tarred({"a.html": content})}, ("bsdtar", "--zstd", "-cf", "{out}", "a.tar"))


def cpio(files: dict[str, bytes]) -> bytes:
    return _by_program("cpio", files, ("bsdtar", "--format", "newc", "-cf", "{out}", "."))


def rar3(name: str, content: bytes) -> bytes:
    """An archive as RAR 2.9 wrote it, with one file that is stored."""
    return b"Rar!\x1a\x07\x00" + _block3(0x73, 0, bytes(6)) + _block3(
        0x74, 0x8000,
        len(content).to_bytes(4, "little") * 2 + b"\x03" + zlib.crc32(content).to_bytes(4, "little") + bytes(4) + b"\x14\x30"
        + len(name).to_bytes(2, "little") + (0o100644).to_bytes(4, "little") + name.encode(),
    ) + content + _block3(0x7B, 0x4000, b"")  # fmt: skip


def _block3(kind: int, flags: int, rest: bytes) -> bytes:
    body = bytes([kind]) + flags.to_bytes(2, "little") + (7 + len(rest)).to_bytes(2, "little") + rest
    return (zlib.crc32(body) & 0xFFFF).to_bytes(2, "little") + body


def rar5(name: str, content: bytes) -> bytes:
    """An archive as RAR 5 writes it, with one file that is stored."""
    file = b"\x02\x02" + _vint(len(content)) + b"\x04" + _vint(len(content)) + _vint(0o100644) + zlib.crc32(content).to_bytes(4, "little")
    file += b"\x00\x01" + _vint(len(name)) + name.encode()
    return b"Rar!\x1a\x07\x01\x00" + _block5(b"\x01\x00\x00") + _block5(file) + content + _block5(b"\x05\x00\x00")


def _block5(body: bytes) -> bytes:
    sized = _vint(len(body)) + body
    return zlib.crc32(sized).to_bytes(4, "little") + sized


def _vint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def cab(name: str, content: bytes) -> bytes:
    """A cabinet (MS-CAB) with one folder that is not compressed."""
    entry = len(content).to_bytes(4, "little") + bytes(4) + b"\x00\x00" + bytes(4) + b"\x20\x00" + name.encode() + b"\x00"
    data = bytes(4) + len(content).to_bytes(2, "little") * 2 + content
    files_at, data_at = 36 + 8, 36 + 8 + len(entry)
    header = b"MSCF" + bytes(4) + (data_at + len(data)).to_bytes(4, "little") + bytes(4) + files_at.to_bytes(4, "little") + bytes(4)
    header += b"\x03\x01\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00"
    return header + data_at.to_bytes(4, "little") + b"\x01\x00\x00\x00" + entry + data


# compound files


def compound(streams: dict[str, bytes]) -> bytes:
    """A compound file (MS-CFB, version 3); "folder/stream" names a storage. Streams are filled up to 4,096 octets with zeros."""
    entries: list[list[object]] = [["Root Entry", 5, b"", []]]
    for path, content in streams.items():
        parent = entries[0]
        *folders, name = path.split("/")
        for folder in folders:
            known = [i for i in parent[3] if entries[i][0] == folder]  # type: ignore[union-attr]
            if not known:
                entries.append([folder, 1, b"", []])
                known = [len(entries) - 1]
                parent[3].append(known[0])  # type: ignore[union-attr]
            parent = entries[known[0]]
        entries.append([name, 2, content.ljust(4096, b"\0"), []])
        parent[3].append(len(entries) - 1)  # type: ignore[union-attr]
    chains, data, free = [], b"", 0xFFFFFFFF
    starts: dict[int, int] = {}
    for i, (_, kind, content, _) in enumerate(entries):
        if kind == 2:
            starts[i] = len(chains)
            count = -(-len(content) // 512)
            chains += [*range(len(chains) + 1, len(chains) + count), 0xFFFFFFFE]
            data += content.ljust(count * 512, b"\0")
    directory = b""
    siblings: dict[int, int] = {}
    for _, _, _, children in entries:
        siblings.update(pairwise(children))  # type: ignore[arg-type]
    for i, (name, kind, content, children) in enumerate(entries):
        written = (name + "\0").encode("utf-16-le")  # type: ignore[operator]
        start = starts.get(i, 0xFFFFFFFE if kind == 5 else 0)
        links = (free, siblings.get(i, free), children[0] if children else free)  # type: ignore[index]
        directory += written.ljust(64, b"\0") + len(written).to_bytes(2, "little") + bytes([kind, 1])
        directory += b"".join(link.to_bytes(4, "little") for link in links) + bytes(36) + start.to_bytes(4, "little")
        directory += len(content).to_bytes(8, "little")  # type: ignore[arg-type]
    directory = directory.ljust(-(-len(directory) // 512) * 512, b"\0")
    directory_at = len(chains)
    count = len(directory) // 512
    chains += [*range(directory_at + 1, directory_at + count), 0xFFFFFFFE]
    tables = 1
    while (len(chains) + tables) * 4 > tables * 512:
        tables += 1
    table_at = len(chains)
    chains += [0xFFFFFFFD] * tables
    table = b"".join(each.to_bytes(4, "little") for each in chains).ljust(tables * 512, b"\xff")
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + b"\x3e\x00\x03\x00\xfe\xff\x09\x00\x06\x00" + bytes(6) + bytes(4)
    header += tables.to_bytes(4, "little") + directory_at.to_bytes(4, "little") + bytes(4) + (4096).to_bytes(4, "little")
    header += b"\xfe\xff\xff\xff" + bytes(4) + b"\xfe\xff\xff\xff" + bytes(4)
    header += b"".join((table_at + i).to_bytes(4, "little") for i in range(tables)).ljust(436, b"\xff")
    return header + data + directory + table


def outlook(text: str, files: dict[str, bytes] | None = None) -> bytes:
    streams = {"__properties_version1.0": b"", "__substg1.0_1000001F": text.encode("utf-16-le")}
    for i, (name, content) in enumerate((files or {}).items()):
        streams[f"__attach_version1.0_#{i:08}/__substg1.0_3707001F"] = name.encode("utf-16-le")
        streams[f"__attach_version1.0_#{i:08}/__substg1.0_37010102"] = content
    return compound(streams)


def _tnef_attribute(level: int, number: int, data: bytes) -> bytes:
    return (
        bytes([level]) + number.to_bytes(4, "little") + len(data).to_bytes(4, "little") + data + (sum(data) & 0xFFFF).to_bytes(2, "little")
    )


def _properties(values: dict[tuple[int, int], bytes]) -> bytes:
    """MAPI properties (MS-OXTNEF 2.1.3.4), all of variable length, behind some that are not."""
    before = b"\x03\x00\x17\x00\x01\x00\x00\x00" + b"\x0b\x00\x23\x00\x01\x00\x00\x00" + b"\x40\x00\x39\x00" + bytes(8)
    name = "Keywords\0".encode("utf-16-le")
    before += b"\x1f\x10\x00\x80" + bytes(16) + b"\x01\x00\x00\x00" + len(name).to_bytes(4, "little") + name + bytes(-len(name) % 4)
    before += b"\x02\x00\x00\x00" + (b"\x04\x00\x00\x00a\x00\x00\x00" * 2)  # two values
    out = (4 + len(values)).to_bytes(4, "little") + before
    for (kind, number), value in values.items():
        out += kind.to_bytes(2, "little") + number.to_bytes(2, "little") + b"\x01\x00\x00\x00"
        out += len(value).to_bytes(4, "little") + value + bytes(-len(value) % 4)
    return out


def tnef(text: str = "", files: dict[str, bytes] | None = None, page: bytes = b"", rich: bytes = b"", long_names: bool = False) -> bytes:
    """winmail.dat (MS-OXTNEF): a message with its text in one form, and files, by the old attributes or by properties."""
    values = {(0x1F, 0x1000): (text + "\0").encode("utf-16-le"), (0x102, 0x1013): page, (0x102, 0x1009): rich}
    out = b"\x78\x9f\x3e\x22\x01\x00" + _tnef_attribute(1, 0x89006, b"\x00\x00\x01\x00")
    out += _tnef_attribute(1, 0x69007, b"\xe4\x04\x00\x00" + bytes(4))
    out += _tnef_attribute(1, 0x69003, _properties({key: value for key, value in values.items() if value.strip(b"\0")}))
    for name, content in (files or {}).items():
        out += _tnef_attribute(2, 0x69002, b"\x01\x00" + bytes(12))
        if long_names:
            out += _tnef_attribute(2, 0x18010, b"A~1.DAT\0")
            out += _tnef_attribute(2, 0x69005, _properties({(0x1F, 0x3707): (name + "\0").encode("utf-16-le"), (0x102, 0x3701): content}))
        else:
            out += _tnef_attribute(2, 0x18010, name.encode() + b"\0") + _tnef_attribute(2, 0x6800F, content)
    return out


def packed_rtf(text: bytes) -> bytes:
    """Packed rich text (MS-OXRTFCP) without references but the last, which says that it ends."""
    body = b"".join(b"\x00" + text[i : i + 8] for i in range(0, len(text) - len(text) % 8, 8))
    rest, end = text[len(text) - len(text) % 8 :], (207 + len(text)) % 4096
    body += bytes([1 << len(rest)]) + rest + (end << 4).to_bytes(2, "big")
    return (len(body) + 12).to_bytes(4, "little") + len(text).to_bytes(4, "little") + b"LZFu" + bytes(4) + body


def macro(source: str) -> bytes:
    """A module stream with its source in literal tokens (MS-OVBA 2.4.1)."""
    body = ('Attribute VB_Name = "a"\r\n' + source).encode()
    tokens = b"".join(b"\x00" + body[i : i + 8] for i in range(0, len(body), 8))
    return b"\x99" * 40 + b"\x01" + (len(tokens) - 1 | 0xB000).to_bytes(2, "little") + tokens


def slide(text: str) -> bytes:
    """Records of a PowerPoint stream: a container with a text in it (MS-PPT 2.3.1)."""
    written = text.encode("utf-16-le")
    atom = b"\x00\x00\xa0\x0f" + len(written).to_bytes(4, "little") + written
    return b"\x0f\x00\xe8\x03" + len(atom).to_bytes(4, "little") + atom


def libreoffice(name: str) -> bytes:
    """A document LibreOffice 7.4 saved, kept as a vector (see its README)."""
    path = VECTORS / f"libreoffice.{name}"
    return gzip.decompress(path.with_suffix(f".{name}.gz").read_bytes()) if not path.exists() else path.read_bytes()


# PDF


def pdf(
    lines: tuple[str, ...] = (),
    links: tuple[str, ...] = (),
    picture: bytes = b"",
    root: dict[str, object] | None = None,
    pages: int = 1,
    password: str = "",
    drawing: bytes = b"",
) -> bytes:
    """A document with text, links over the first line, a picture on each page, and entries of the catalogue."""
    document = pikepdf.Pdf.new()
    font = document.make_indirect(Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica, Encoding=Name.WinAnsiEncoding))
    for _ in range(pages):
        page = document.add_blank_page(page_size=(595, 842))
        shown = (
            b"BT /F1 9 Tf 50 800 Td 14 TL " + b"".join(b"<" + line.encode("cp1252").hex().encode() + b"> Tj T* " for line in lines) + b"ET"
        )
        page.Resources = Dictionary(Font=Dictionary(F1=font))
        if picture:
            shade = grey(picture)
            page.Resources.XObject = Dictionary(I=document.make_stream(
                shade.tobytes(), Type=Name.XObject, Subtype=Name.Image, Width=shade.width, Height=shade.height, ColorSpace=Name.DeviceGray,
                BitsPerComponent=8,
            ))  # fmt: skip
            shown += b" q 150 0 0 150 200 400 cm /I Do Q"
        page.Contents = document.make_stream(shown + b" " + drawing)
        page.Annots = document.make_indirect(Array([
            Dictionary(Type=Name.Annot, Subtype=Name.Link, Rect=[50, 795, 500, 812],
                       A=Dictionary(S=Name.URI, URI=pikepdf.String(link.encode("latin-1", "replace") if link.isascii() else link))) for link in links
        ]))  # fmt: skip
    for key, value in (root or {}).items():
        document.Root[key] = document.make_indirect(value) if isinstance(value, (Dictionary, Array)) else value
    out = io.BytesIO()
    document.save(out, encryption=pikepdf.Encryption(owner="owner", user=password, R=6) if password else False)
    return out.getvalue()


# codes


@cache
def qr(content: str, *options: str) -> bytes:
    """A code as PNG, drawn by qrencode."""
    return program("qrencode", "-o", "-", *options, content)


def grey(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGBA").convert("L")


def saved(picture: Image.Image, name: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, name, **options)  # type: ignore[arg-type]
    return out.getvalue()


def code_table(content: str, cell: str = '<td bgcolor="{}"></td>', dark: str = "#000000", light: str = "#ffffff") -> str:
    """A code as a table, a cell a module."""
    code = grey(qr(content, "-s", "1"))
    rows = ("".join(cell.format(dark if code.getpixel((x, y)) == 0 else light) for x in range(code.width)) for y in range(code.height))
    return "<table cellspacing=0>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def code_runs(content: str) -> str:
    """A code as a table, a cell a run of one colour."""
    code = grey(qr(content, "-s", "1"))
    out = "<table cellspacing=0>"
    for y in range(code.height):
        out += "<tr>"
        x = 0
        while x < code.width:
            end = next((i for i in range(x, code.width) if code.getpixel((i, y)) != code.getpixel((x, y))), code.width)
            colour = "black" if code.getpixel((x, y)) == 0 else "rgb(255, 255, 255)"
            out += f'<td colspan={end - x} style="padding:0;background-color:{colour}"></td>'
            x = end
        out += "</tr>"
    return out + "</table>"


def modules(content: str) -> list[tuple[int, int]]:
    """The dark modules of a code, with its margin of 4."""
    code = grey(qr(content, "-s", "1"))
    return [(x, y) for y in range(code.height) for x in range(code.width) if code.getpixel((x, y)) == 0]


def code_boxes(content: str, row: str, cell: str, end: str, dark: str = "#000", light: str = "#fff") -> str:
    """A code as boxes side by side: what begins a row, a cell with a place for its colour, what ends a row."""
    code = grey(qr(content, "-s", "1"))
    colours = [[dark if code.getpixel((x, y)) == 0 else light for x in range(code.width)] for y in range(code.height)]
    return "".join(row + "".join(cell.format(colour) for colour in line) + end for line in colours)


def code_box_runs(content: str) -> str:
    """A code as rows of boxes, each a run of one colour with its width."""
    code = grey(qr(content, "-s", "1"))
    rows = []
    for y in range(code.height):
        runs = [(colour, len(list(group))) for colour, group in groupby(code.getpixel((x, y)) for x in range(code.width))]
        boxes = "".join(f'<span style="width:{3 * n}px;background:{"white" if colour else "black"}"></span>' for colour, n in runs)
        rows.append(f'<div style="display:flex;height:3px">{boxes}</div>')
    return "<div>" + "".join(rows) + "</div>"


def code_placed(content: str) -> str:
    """A code as boxes that say where they are."""
    style = "position:absolute;left:{}px;top:{}px;width:3px;height:3px;background-color:#000"
    return "".join(f'<div style="{style.format(3 * x, 3 * y)}"></div>' for x, y in modules(content))


def code_shadows(content: str) -> str:
    """A code as the shadows of one box."""
    shadows = ",".join(f"{4 * x}px {4 * y}px 0 #000" for x, y in modules(content))
    return f'<div style="width:4px;height:4px;box-shadow:{shadows}"></div>'


def svg(shapes: str) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 60">{shapes}</svg>'


def code_svg_use(content: str) -> str:
    """A code in SVG as one square that is used again and again, light on dark."""
    uses = "".join(f'<use x="{8 * x}" y="{8 * y}" xlink:href="#p"/>' for x, y in modules(content))
    return svg(f'<defs><rect id="p" width="8" height="8" fill="white"/></defs><rect width="500" height="500" fill="#000"/>{uses}')


def code_svg_path(content: str) -> str:
    """A code in SVG as one path of closed squares."""
    return svg('<path d="' + "".join(f"M{x},{y}h1v1h-1z" for x, y in modules(content)) + '"/>')


def code_svg_outline(content: str) -> str:
    """A code in SVG as one path, whose three rings are squares within squares."""
    code = grey(qr(content, "-s", "1"))
    rings = [(x, y) for x, y in ((4, 4), (code.width - 11, 4), (4, code.height - 11))]
    within = {(x + i, y + j) for x, y in rings for i in range(7) for j in range(7)}
    path = "".join(f"M{x} {y}H{x + 7}V{y + 7}H{x}ZM{x + 1} {y + 1}V{y + 6}H{x + 6}V{y + 1}ZM{x + 2} {y + 2}h3v3h-3z" for x, y in rings)
    path += "".join(f"M{x} {y}h1v1h-1z" for x, y in modules(content) if (x, y) not in within)
    return svg(f'<path fill="#111" fill-rule="evenodd" d="{path}"/>')


def code_paths(content: str, at_once: bool) -> bytes:
    """A code as operators of PDF: a square a module, each painted by itself or all at once."""
    code = grey(qr(content, "-s", "1"))
    end = "" if at_once else " f"
    squares = [
        f"{200 + 4 * x} {600 - 4 * y} 4 4 re{end}" for y in range(code.height) for x in range(code.width) if code.getpixel((x, y)) == 0
    ]
    return (" ".join(squares) + (" f" if at_once else "")).encode()


def code_text(content: str, kind: str = "UTF8") -> str:
    return program("qrencode", "-t", kind, "-o", "-", content).decode()


# documents


def docx(body: str = "", target: str = "", media: dict[str, bytes] | None = None) -> bytes:
    link = '<w:hyperlink r:id="rId1"><w:r><w:t>Sign in </w:t></w:r><w:r><w:t>here</w:t></w:r></w:hyperlink>' if target else ""
    files = {
        "[Content_Types].xml": TYPES,
        "word/document.xml": f"<w:document><w:p><w:r><w:t>{body}</w:t></w:r>{link}</w:p></w:document>".encode(),
    }
    if target:
        files["word/_rels/document.xml.rels"] = relations(target)
    return zipped({**files, **{f"word/media/{name}": content for name, content in (media or {}).items()}})


_HYPERLINK = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink"


def relations(*targets: str) -> bytes:
    each = "".join(
        f'<Relationship Id="rId{i}" Type="{_HYPERLINK}" Target="{target}" TargetMode="External"/>' for i, target in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{each}</Relationships>'.encode()


def ooxml(folder: str, member: str, body: str = "", target: str = "") -> bytes:
    base = member.rpartition("/")[2]
    files = {"[Content_Types].xml": TYPES, f"{folder}/{member}": body.encode()}
    if target:
        files[f"{folder}/{member.removesuffix(base)}_rels/{base}.rels"] = relations(target)
    return zipped(files)


def odt(body: str) -> bytes:
    return zipped(
        {
            "mimetype": b"application/vnd.oasis.opendocument.text",
            "content.xml": f"<office:text><text:p>{body}</text:p></office:text>".encode(),
        }
    )


def rtf(text: str, target: str = "") -> bytes:
    field = rf'{{\field{{\*\fldinst{{HYPERLINK "{_rtf(target)}"}}}}{{\fldrslt Sign in here}}}}' if target else ""
    return rf"{{\rtf1\ansi {_rtf(text)}\par {field}}}".encode("ascii")


def _rtf(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("{", "\\{").replace("}", "\\}").replace("\n", "\\line ")
    return "".join(char if char.isascii() else f"\\u{ord(char)}?" for char in escaped)


def calendar(text: str) -> bytes:
    """An invitation whose description is folded as RFC 5545 says."""
    line = "DESCRIPTION:" + text.replace("\\", "\\\\").replace(",", "\\,").replace(";", "\\;").replace("\n", "\\n")
    folded = "\r\n ".join(line[i : i + 60] for i in range(0, len(line), 60))
    return f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n{folded}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n".encode()


def mail(text: str, kind: str = "plain") -> bytes:
    return f"From: a@example.org\nSubject: x\nMIME-Version: 1.0\nContent-Type: text/{kind}; charset=utf-8\n\n{text}\n".encode()


def with_file(name: str, content: bytes, text: str = ANNOUNCED, declared: str = "application/octet-stream") -> bytes:
    """A message with one file."""
    encoded = base64.encodebytes(content).decode()
    return (
        "From: a@example.org\nSubject: Invoice\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
        f"--b\nContent-Type: text/plain; charset=utf-8\n\n{text}\n"
        f'--b\nContent-Type: {declared}; name="{name}"\nContent-Disposition: attachment; filename="{name}"\n'
        f"Content-Transfer-Encoding: base64\n\n{encoded}\n--b--\n"
    ).encode()


def plain(written: str) -> str:
    """A form as it is meant once XML is decoded."""
    return unescape(written)
