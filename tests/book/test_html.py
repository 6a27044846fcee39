"""What is changed on the pages between reading and writing them."""

from docutils import nodes
from docutils.utils import new_document

from modularity_lib.book.html import join_percent_signs


def test_no_line_breaks_between_a_number_and_its_percent_sign() -> None:
    page = new_document("page")
    page += [nodes.paragraph("", "The 95 % interval is [2 %, 4 %]; 5 % 3."), nodes.literal("", "5 % 3")]
    join_percent_signs(None, page, "page")  # type: ignore[arg-type]
    narrow = "\N{NARROW NO-BREAK SPACE}%"
    assert page[0].astext() == f"The 95{narrow} interval is [2{narrow}, 4{narrow}]; 5{narrow} 3."
    assert page[1].astext() == "5 % 3"


def test_percent_signs_of_pages_have_one_form_and_those_of_styles_and_code_stay() -> None:
    page = new_document("page")
    page += [nodes.paragraph("", "44% or 44 %"), nodes.raw("", "<style>a { width: 100%; }</style>", format="html")]
    page += [nodes.literal_block("", "'%.1f%%' % 5%x"), nodes.math_block("", "5% 3")]
    before = [node.astext() for node in page[1:]]
    join_percent_signs(None, page, "page")  # type: ignore[arg-type]
    assert page[0].astext() == "44\N{NARROW NO-BREAK SPACE}% or 44\N{NARROW NO-BREAK SPACE}%"
    assert [node.astext() for node in page[1:]] == before
