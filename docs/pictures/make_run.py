"""Draw make_run.svg: what `make run` prints, from a real run. `python docs/pictures/make_run.py`"""

from __future__ import annotations

import io
import re
import socket
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from mailward.cli import demo

WIDTH = 165


def main() -> None:
    sys.argv[0] = ".venv/bin/mailward"
    with socket.socket() as probe:
        probe.bind((demo.HOST, 0))
        port = probe.getsockname()[1]
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)
    with tempfile.TemporaryDirectory() as folder, demo.stand_in() as sink, demo.running_gateway(Path(folder), port, sink.port):
        sent = demo.send_samples(Path(folder), port)
        lines = demo.closing_words(Path(".state").absolute(), 2525, sink, sent)
    console.print(Text("$ make run", "bold"))
    console.print(demo.table_of(sent, WIDTH))
    for line in lines:
        console.print(Text(line.replace(str(sink.port), "40025")))
    svg = re.sub(r"\s*@font-face \{.*?\}", "", console.export_svg(title="make run"), flags=re.DOTALL)  # a picture fetches nothing
    (Path(__file__).parent / "make_run.svg").write_text(svg, "utf-8")


if __name__ == "__main__":
    main()
