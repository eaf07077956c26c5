"""The picture of the house and its table for CONTRIBUTING.md, from the code's imports: `python -m docs.draw_house`.

Writes docs/house.svg and puts the table between its marks in CONTRIBUTING.md; a test says whether both are of today. A room stands above
every room of its package that it looks into; the tip of a line is at the room that is looked into. Of what one package asks of another the
picture shows only that it does.
"""

import html
from collections import defaultdict
from typing import NamedTuple

from tests.test_layers import PACKAGES, ROOMS, ROOT, arrows_of

BEGIN, END = "<!-- the table of rooms: made by docs/draw_house.py -->", "<!-- end of the table of rooms -->"
WIDTH, HEIGHT, GAP, FLOOR, EDGE, TITLE = (
    150,
    40,
    14,
    82,
    16,
    34,
)  # pixels: a room, between rooms, from floor to floor, a package's edge and title
COLUMNS = (("recipes", "rl", "rollout"), ("verifiers",), ("data_pipeline",))  # from left to right, each from top to bottom
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1f2328;text-anchor:middle}"
    ".title{font-size:15px;font-weight:600;text-anchor:start}.room{fill:#fff;stroke:#57606a}.package{fill:#f6f8fa;stroke:#d0d7de}"
    ".arrow{fill:none;stroke:#8c959f;marker-end:url(#tip)}.between{stroke:#0969da;stroke-width:2.5}"
)


TIP = (
    '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 8 4 0 8z" fill="#57606a"/></marker>'
)


class Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float


def package_of(room: str) -> str:
    return room.partition(".")[0]


def floor_of(room: str) -> int:
    """How many rooms of its package stand below one another under this one."""
    return 1 + max((floor_of(other) for other in arrows_of(room) if package_of(other) == package_of(room)), default=-1)


def name_of(room: str) -> str:
    """The last folder of its path; a room that is no folder of its own is what stands at the top of a package."""
    name = room.partition(".")[2].rpartition(".")[2]
    return "for users, at the top" if name == "front" else name or "at the top"


def plan() -> tuple[dict[str, Box], dict[str, Box]]:
    """Where every package stands, and every room."""
    packages: dict[str, Box] = {}
    rooms: dict[str, Box] = {}
    left = EDGE
    for column in COLUMNS:
        floors = {package: defaultdict(list) for package in column}
        for room in ROOMS:
            if package_of(room) in floors:
                floors[package_of(room)][floor_of(room)].append(room)
        width = max(len(beside) for floor in floors.values() for beside in floor.values()) * (WIDTH + GAP) - GAP + 2 * EDGE
        top = EDGE
        for package, levels in floors.items():
            height = TITLE + (max(levels) + 1) * FLOOR - (FLOOR - HEIGHT) + EDGE
            packages[package] = Box(left, top, width, height)
            for level, beside in levels.items():
                start = left + (width - len(beside) * (WIDTH + GAP) + GAP) / 2
                y = top + TITLE + (max(levels) - level) * FLOOR
                rooms |= {room: Box(start + place * (WIDTH + GAP), y, WIDTH, HEIGHT) for place, room in enumerate(beside)}
            top += height + 2 * EDGE
        left += width + 3 * EDGE
    bottom = max(box.y + box.height for box in packages.values())
    for *_, last in COLUMNS:  # all columns end at one height, so that what is beside can be pointed at
        packages[last] = packages[last]._replace(height=bottom - packages[last].y)
    return packages, rooms


def picture() -> str:
    packages, rooms = plan()
    drawn = [_line(packages[package], packages[other], "arrow between") for package, others in PACKAGES.items() for other in others]
    drawn += [_box(box, "package") + _text(f"{name}/", box.x + 10, box.y + 22, "title") for name, box in packages.items()]
    for room in ROOMS:
        near = [other for other in arrows_of(room) if package_of(other) == package_of(room)]
        drawn += [_line(rooms[room], rooms[other], "arrow") for other in near]
    for room, box in rooms.items():
        middle = box.x + box.width / 2
        drawn.append(
            f"<g><title>{html.escape(ROOMS[room].purpose)}</title>{_box(box, 'room')}{_text(name_of(room), middle, box.y + 24)}</g>"
        )
    width = max(box.x + box.width for box in packages.values()) + EDGE
    height = max(box.y + box.height for box in packages.values()) + EDGE
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}">'
    ground = f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>'
    return "\n".join([head, f"<style>{STYLE}</style><defs>{TIP}</defs>{ground}", *drawn, "</svg>"]) + "\n"


def _box(box: Box, kind: str) -> str:
    return f'<rect class="{kind}" rx="6" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}"/>'


def _text(words: str, x: float, y: float, kind: str = "plain") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{html.escape(words)}</text>'


def _line(start: Box, end: Box, kind: str) -> str:
    """From a lower edge to an upper one; sideways where they stand side by side."""
    if start.y + start.height <= end.y:
        x1, y1, x2, y2 = start.x + start.width / 2, start.y + start.height, end.x + end.width / 2, end.y
        bend = (y2 - y1) / 2
        return f'<path class="{kind}" d="M{x1:g} {y1:g}C{x1:g} {y1 + bend:g} {x2:g} {y2 - bend:g} {x2:g} {y2:g}"/>'
    if abs(start.x - end.x) > start.width + 4 * EDGE and start.x < end.x:  # over the head of what stands between
        return f'<path class="{kind}" d="M{start.x + start.width / 2:g} {start.y:g}V5H{end.x + end.width / 2:g}V{end.y:g}"/>'
    y = (max(start.y, end.y) + min(start.y + start.height, end.y + end.height)) / 2
    x1, x2 = (start.x + start.width, end.x) if start.x < end.x else (start.x, end.x + end.width)
    return f'<path class="{kind}" d="M{x1:g} {y:g}H{x2:g}"/>'


def table() -> str:
    """The rooms with what they are for and their doors, package by package, what looks at others first."""
    lines = ["| room | what for | its doors |", "|---|---|---|"]
    for package in reversed(PACKAGES):
        for room in sorted((room for room in ROOMS if package_of(room) == package), key=floor_of, reverse=True):
            folder = f"`{room.replace('.front', '').replace('.', '/')}/`" + (" (at its top, for users)" if room.endswith(".front") else "")
            lines.append(f"| {folder} | {ROOMS[room].purpose} | {', '.join(ROOMS[room].doors.split())} |")
    return "\n".join(lines)


def contributing(text: str) -> str:
    """The page with today's table."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


def main() -> None:
    (ROOT / "docs" / "house.svg").write_text(picture(), encoding="utf-8")
    page = ROOT / "CONTRIBUTING.md"
    page.write_text(contributing(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
