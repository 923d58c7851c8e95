"""``firstsight data``."""

from dataclasses import dataclass

from firstsight.cli.parse import Flag, parse

POSES = "https://cocodataset.org (COCO), http://sam.johnson.io/research/lspet.html (LSP extended, to be converted)"


@dataclass(frozen=True)
class Arguments:
    """The data sets: where each was found, or how to get it."""

    json: Flag = False
    """Print as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse and print."""
    arguments = parse(Arguments, "data", argv)
    from firstsight.cli.console import out, print_json, table
    from firstsight.data.datasets import SOURCES
    from firstsight.data.fetch import home
    from firstsight.data.find import find

    places = {name: find(source) for name, source in SOURCES.items()}
    if arguments.json:
        print_json(
            [
                {
                    "name": s.name, "title": s.title, "images": s.shape, "licence": s.licence, "homepage": s.homepage,
                    "found": str(places[s.name]) if places[s.name] else None,
                    "download_bytes": sum(file.size for file in s.files),
                }
                for s in SOURCES.values()
            ]
        )  # fmt: skip
        return 0
    console = out()
    shown = table("data set", "images", "licence", "where")
    for source in SOURCES.values():
        size = sum(file.size for file in source.files) / 1e6
        place = "inside the package" if source.name == "digits" else places[source.name]
        shown.add_row(
            source.name,
            source.shape,
            source.licence,
            str(place or f"not here; --data {source.name} downloads {size:.0f} MB"),
        )
    console.print(shown)
    console.print()
    console.print(
        f"Downloads go to {home() / 'data'} (FIRSTSIGHT_HOME); FIRSTSIGHT_OFFLINE=1 never opens a connection."
    )
    console.print(
        "Your own: --data FOLDER or FILE.zip of class/picture, or train/class/picture and test/class/picture."
    )
    console.print(f"Poses: --data FOLDER or FILE.json of COCO keypoints; from {POSES}.", markup=False)
    return 0
