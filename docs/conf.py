"""Sphinx configuration. `make docs` builds build/source, which tools/make_site.py collects."""

import re
from types import BuiltinFunctionType
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
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
language = "en"

nb_execution_mode = "off"  # notebooks are committed with their outputs
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

highlight_language = "text"
pygments_style = "a11y-light"  # every color has enough contrast
pygments_dark_style = "a11y-dark"
default_role = "py:obj"  # `Name` in a docstring is a link if it is known (see `find_name`)
autodoc_member_order = "bysource"
autodoc_default_options = {"special-members": "__call__"}
maximum_signature_line_length = 80  # a longer signature has one line per parameter
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
autodoc_inherit_docstrings = False  # methods of nn.Module have torch's docstrings
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
suppress_warnings = ["ref.python"]  # classes with the same name in two packages

html_theme = "furo"
html_title = f"firstsight {version}"
html_favicon = "_static/icon.svg"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_theme_options = {  # colors of the theme whose contrast is below 4.5
    "light_css_variables": {"color-foreground-muted": "#5f636a"},
    "dark_css_variables": {
        "color-foreground-muted": "#9ca0a5",
        "color-problematic": "#ff7b7b",
        "color-brand-primary": "#5ca5ff",
        "color-brand-visited": "#c49bf0",
    },
}
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_math_renderer = "mathml"  # MathJax would be fetched from another site
html_search_language = "both"

OUTPUT_ALT = {"en": "output of the code above", "ko": "위 코드의 출력"}
"""Alternative text of notebook outputs, after the title of the section."""

log = logging.getLogger(__name__)


class BilingualSearch(SearchEnglish):
    """Search index with English and Korean words.

    A Korean word is also indexed by its prefixes, because particles are attached to it.
    """

    lang = "both"
    language_name = "English"  # the stemmer in the page

    def split(self, input: str) -> list[str]:
        words: list[str] = super().split(input)
        return [prefix for word in words for prefix in prefixes(word)]


def prefixes(word: str) -> list[str]:
    """Return the prefixes of a Korean word with at least two syllables, or the word itself."""
    korean = re.fullmatch("[가-힣]+", word)
    return [word[:end] for end in range(2, len(word) + 1)] if korean and len(word) > 1 else [word]


def prepare_docstring(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Make a docstring valid reStructuredText.

    Code after "::" at the end of a docstring is indented, because ruff dedents it. The underscore of types such as
    ``np.bool_`` is escaped. Functions of torch that are defaults of attributes lose their docstrings.
    """
    if isinstance(obj, BuiltinFunctionType):
        lines.clear()
    text = re.sub(r"::\n\n(?=\S)", "::\n\n    ", "\n".join(lines))
    lines[:] = re.sub(r"^(.* : .*np\.\w+)_(?=\W|$)", r"\1\\_", text, flags=re.MULTILINE).splitlines()


def skip_member(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:
    """Leave out the methods that matplotlib adds to a subclass of its classes, such as ``set``."""
    return True if getattr(obj, "__module__", None) == "matplotlib.artist" else None


def find_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement) -> nodes.Node | None:
    """Resolve a name in backticks to an object of its package, or to the only object with this name."""
    if node.get("reftype") != "obj":
        return None
    target = node["reftarget"].removesuffix("()")
    package, _, last = target.rpartition(".") if target.startswith("firstsight.") else ("", "", target)
    package = package or ".".join((node.get("py:module") or "").split(".")[:2])
    candidates = [name for name in env.domaindata["py"]["objects"] if name.endswith(f".{last}")]
    in_package = [name for name in candidates if package and name.startswith(package)]
    matches = in_package if len(in_package) == 1 else candidates
    if len(matches) != 1:
        return None
    entry = env.domaindata["py"]["objects"][matches[0]]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, matches[0])


def visit_math(self: Any, node: nodes.math | nodes.math_block, display: str = "inline") -> None:
    """Write a formula as MathML."""
    mathml = convert(node.astext(), display=display)
    if "\\" in mathml:
        log.warning("formula with an unknown command: %s", node.astext(), location=node)
    self.body.append(f'<div class="formula">{mathml}</div>' if display == "block" else mathml)
    raise nodes.SkipNode


def visit_math_block(self: Any, node: nodes.math_block) -> None:
    """Write a formula as a block."""
    visit_math(self, node, "block")


def complete(app: Sphinx, tree: nodes.document) -> None:
    """Add alternative texts to images, and remove empty table heads."""
    alt = OUTPUT_ALT["ko" if app.env.docname.startswith("chapters/ko/") else "en"]
    for section in reversed(list(tree.findall(nodes.section))):  # inner sections first
        for image in section.findall(nodes.image):
            image.setdefault("alt", f"{section[0].astext()}: {alt}")
    for head in list(tree.findall(nodes.thead)):
        if not head.astext().strip():
            head.parent.remove(head)


def list_parameters(
    app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None
) -> None:
    """Write the parameters of a long signature as a list; Sphinx writes `dd` without `dt`."""

    def as_list(match: re.Match[str]) -> str:
        return f'<ul class="parameters">\n{match[1].replace("dd>", "li>")}</ul>'

    context["body"] = re.sub(r"<dl>\n(<dd>.*?)</dl>", as_list, context.get("body", ""), flags=re.DOTALL)


def set_language(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None) -> None:
    """Set the language attribute of Korean pages."""
    if page.startswith("chapters/ko/") or page.endswith(".ko"):
        context["language"] = "ko"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the search language, the formulas and the event handlers."""
    app.add_search_language(BilingualSearch)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("autodoc-process-docstring", prepare_docstring, priority=400)  # before napoleon
    app.connect("autodoc-skip-member", skip_member)
    app.connect("missing-reference", find_name)
    app.connect("doctree-read", complete)
    app.connect("html-page-context", list_parameters)
    app.connect("html-page-context", set_language)
    return {"parallel_read_safe": True}
