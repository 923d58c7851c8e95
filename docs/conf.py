"""How Sphinx builds the site. `make docs` runs it on build/source, which tools/make_site.py puts together."""

import inspect
import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.search import SearchEnglish
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

import firstsight

project = "firstsight"
author = "The firstsight authors"
version = release = firstsight.__version__
project_copyright = author
extensions = ["myst_nb", "sphinx.ext.autodoc"]
language = "en"

nb_execution_mode = "off"  # chapters are committed with their outputs
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

highlight_language = "text"
pygments_style, pygments_dark_style = "a11y-light", "a11y-dark"  # every colour readable on its ground
default_role = "py:obj"  # `Name` in a docstring: a link where it is known (see `find_name`), code where it is not
autodoc_member_order = "bysource"
maximum_signature_line_length = 80  # a longer signature has a line for each parameter
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
autodoc_inherit_docstrings = False  # torch's docstrings are about torch
suppress_warnings = ["ref.python"]  # two classes of one name in two packages: the signature links to the first

html_theme = "furo"
html_title = f"firstsight {version}"
html_favicon = "_static/icon.svg"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_theme_options = {  # where the theme's colours have a contrast below 4.5 on one of its grounds
    "light_css_variables": {"color-foreground-muted": "#5f636a"},
    "dark_css_variables": {
        "color-foreground-muted": "#9ca0a5",
        "color-problematic": "#ff7b7b",
        "color-brand-primary": "#5ca5ff",
        "color-brand-visited": "#c49bf0",
    },
}
html_copy_source = html_show_sourcelink = False
html_show_sphinx = False
html_math_renderer = "mathml"  # browsers draw MathML by themselves; MathJax would be fetched from elsewhere
html_search_language = "both"

PICTURE = {"en": "picture made by the code above", "ko": "위 코드가 그린 그림"}
"""What a screen reader says of an output without a description, after the title of its section."""

log = logging.getLogger(__name__)


class SearchBoth(SearchEnglish):
    """Words of both languages. A Korean word is found by its beginnings too, for particles are attached to it."""

    lang = "both"
    language_name = "English"  # of the stemmer, which is a class in the page

    def split(self, input: str) -> list[str]:
        words: list[str] = super().split(input)
        return [part for word in words for part in beginnings(word)]


def beginnings(word: str) -> list[str]:
    """A word; of a Korean one everything that it begins with, from two syllables on."""
    korean = re.fullmatch("[가-힣]+", word)
    return [word[:end] for end in range(2, len(word) + 1)] if korean and len(word) > 1 else [word]


def house_style(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Sections of a docstring as fields.

    Napoleon and numpydoc take what is after ``name :`` for a type; in this house it is the description.
    """
    text = inspect.cleandoc("\n".join(lines))
    text = re.sub(r"::\n\n(?=\S)", "::\n\n    ", text)  # code that is the rest of a docstring: ruff dedents it
    lines[:] = re.sub(r"^(\w+)\n-{3,}\n(.*?)(?=\n\n\S|\Z)", fields, text, flags=re.M | re.S).splitlines()


def fields(section: re.Match[str]) -> str:
    """One section: what takes and gives as a list of fields, others (Examples, Notes) under their title."""
    title, body = section.groups()
    if title == "Returns":
        return ":returns: " + " ".join(body.split())
    kind = {"Parameters": "param", "Attributes": "ivar", "Raises": "raises"}.get(title)
    if kind is None:
        return f".. rubric:: {title}\n\n{body}"
    made = []
    for entry in re.split(r"\n(?=\S)", body):
        names, *about = re.split(r"\n\s+" if kind == "raises" else r" : |\n\s+", entry, maxsplit=1)
        text = " ".join(" ".join(about).split())
        made += [f":{kind} {each}: {text}" for each in names.replace("*", r"\*").split(", ")]
    return "\n".join(made)


def find_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement) -> nodes.Node | None:
    """A name in backticks is that of its package, or the only one of that name anywhere."""
    if node.get("reftype") != "obj":
        return None
    wanted = node["reftarget"].removesuffix("()")
    package, _, last = wanted.rpartition(".") if wanted.startswith("firstsight.") else ("", "", wanted)
    package = package or ".".join((node.get("py:module") or "").split(".")[:2])
    known = [name for name in env.domaindata["py"]["objects"] if name.endswith(f".{last}")]
    near = [name for name in known if package and name.startswith(package)]
    found = near if len(near) == 1 else known
    if len(found) != 1:
        return None
    place = env.domaindata["py"]["objects"][found[0]]
    return make_refnode(app.builder, node["refdoc"], place.docname, place.node_id, content, found[0])


def visit_math(self: Any, node: nodes.math | nodes.math_block, display: str = "inline") -> None:
    """A formula as MathML."""
    made = convert(node.astext(), display=display)
    if "\\" in made:
        log.warning("formula with an unknown command: %s", node.astext(), location=node)
    self.body.append(f'<div class="formula">{made}</div>' if display == "block" else made)
    raise nodes.SkipNode


def visit_math_block(self: Any, node: nodes.math_block) -> None:
    """A formula on lines of its own."""
    visit_math(self, node, "block")


def complete(app: Sphinx, tree: nodes.document) -> None:
    """Pictures have a description; a table whose head is empty has no head."""
    words = PICTURE["ko" if app.env.docname.startswith("chapters/ko/") else "en"]
    for section in reversed(list(tree.findall(nodes.section))):  # inner ones before those that they are in
        for picture in section.findall(nodes.image):
            picture.setdefault("alt", f"{section[0].astext()}: {words}")
    for head in list(tree.findall(nodes.thead)):
        if not head.astext().strip():
            head.parent.remove(head)


def list_parameters(
    app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None
) -> None:
    """The parameters of a long signature as a list; Sphinx writes `dd` without any `dt`."""

    def as_list(found: re.Match[str]) -> str:
        return f'<ul class="parameters">\n{found[1].replace("dd>", "li>")}</ul>'

    context["body"] = re.sub(r"<dl>\n(<dd>.*?)</dl>", as_list, context.get("body", ""), flags=re.DOTALL)


def tell_language(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None) -> None:
    """Say to browsers and screen readers that a page is in Korean."""
    if page.startswith(("chapters/ko/", "chapters.ko")):
        context["language"] = "ko"


def setup(app: Sphinx) -> dict[str, bool]:
    """What is not a setting."""
    app.add_search_language(SearchBoth)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("autodoc-process-docstring", house_style)
    app.connect("missing-reference", find_name)
    app.connect("doctree-read", complete)
    app.connect("html-page-context", list_parameters)
    app.connect("html-page-context", tell_language)
    return {"parallel_read_safe": True}
