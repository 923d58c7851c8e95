"""``firstsight data``."""

from dataclasses import dataclass

from firstsight.cli.parse import Flag, parse

POSES = "https://cocodataset.org (COCO), http://sam.johnson.io/research/lspet.html (LSP extended, must be converted)"


@dataclass(frozen=True)
class Arguments:
    """List the data sets, and where each was found or can be downloaded."""

    json: Flag = False
    """Print as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse and print."""
    arguments = parse(Arguments, "data", argv, examples=("firstsight data", "firstsight data --json"))
    from firstsight.cli.console import out, print_json, say, table
    from firstsight.data.datasets import DATASETS
    from firstsight.data.fetch import find_home
    from firstsight.data.images.find import find_dataset

    locations = {name: find_dataset(source) for name, source in DATASETS.items()}
    if arguments.json:
        print_json(
            [
                {
                    "name": s.name,
                    "title": s.title,
                    "images": s.shape,
                    "license": s.license,
                    "homepage": s.homepage,
                    "found": str(locations[s.name]) if locations[s.name] else None,
                    "download_bytes": sum(file.size for file in s.files),
                }
                for s in DATASETS.values()
            ]
        )
        return 0
    rows = table("data set", "images", "license", "location")
    for source in DATASETS.values():
        size = sum(file.size for file in source.files) / 1e6
        location = "in the package" if source.name == "digits" else locations[source.name]
        rows.add_row(
            source.name,
            source.shape,
            source.license,
            str(location or f"not found; --data {source.name} downloads {size:.0f} MB"),
        )
    out().print(rows)
    home = find_home()
    folder = f"{home / 'data'} (FIRSTSIGHT_HOME)" if home else "the data folder of FIRSTSIGHT_HOME, which is not set"
    say(
        "",
        f"Downloads go to {folder}; FIRSTSIGHT_OFFLINE=1 never opens a connection.",
        "Your own images: --data FOLDER or FILE.zip with one subfolder per class, also below train/ and test/.",
        f"Pose data: --data FOLDER or FILE.json of COCO keypoints, such as {POSES}.",
    )
    return 0
