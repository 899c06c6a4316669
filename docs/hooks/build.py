"""What mkdocs calls while it builds the site: pages and pictures that are made, not written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalogue import ENTRIES, Room, entry_page, index_page
from command_line import command_line_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from notebook import as_markdown
from pictures import pictures

ROOT = Path(__file__).parent.parent.parent
NOTEBOOK = "quickstart.ipynb"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let pages include files of the repository, and put every entry of a catalogue into the navigation."""
    config.mdx_configs["pymdownx.snippets"]["base_path"] = [str(ROOT)]
    config.nav = _filled(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the catalogues with their pictures, the command line, and the notebook as a page."""

    def add(name: str, content: str | bytes) -> None:
        files.append(File.generated(config, name, content=content))

    for room, entries in ENTRIES.items():
        add(f"{room}/index.md", index_page(room))
        for name in entries:
            add(f"{room}/{name}.md", entry_page(room, name))
    for name, kind in ENTRIES["augmentations"].items():
        for varied, png in pictures(kind()).items():
            add(f"pictures/{name}-{varied}.png", png)
    add("command-line.md", command_line_page())
    for path, content in as_markdown(Path(config.docs_dir) / NOTEBOOK).items():
        add(path, content)
    return files


def _filled(items: Any) -> Any:
    """Return the navigation with `detectors/` and the like replaced by the pages of that catalogue."""
    rooms: dict[str, Room] = {f"{room}/": room for room in ENTRIES}
    if isinstance(items, str) and items in rooms:
        room = rooms[items]
        return [f"{room}/index.md", *({name: f"{room}/{name}.md"} for name in ENTRIES[room])]
    if isinstance(items, list):
        return [_filled(each) for each in items]
    if isinstance(items, dict):
        return {name: _filled(each) for name, each in items.items()}
    return items
