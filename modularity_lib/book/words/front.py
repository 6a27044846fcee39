"""Words of the front page on findings that have chapters of their own."""

from modularity_lib.book.words import lesions, two_sides, why_dropout
from modularity_lib.figures import transfer_against_dropout
from modularity_lib.findings import lesion_effects, transfer
from modularity_lib.findings.catalogue import FINDINGS, finding_table
from modularity_lib.studies.results import Results


def found_texts(results: Results) -> dict[str, str]:
    """What lesions, near-copies and the transfer of Q show, in the words of their chapters.

    Only what is shipped is told: nothing is measured for the front page.
    """
    untold = f"It was not measured for all runs of {results.study.name}."
    told = {"lesions_front": untold, "copies_front": untold}
    if FINDINGS["lesions"].is_shipped(results.study):
        told["lesions_front"] = lesions.answer_text(lesion_effects.lesion_table(results), results)
    if FINDINGS["near_copies"].is_shipped(results.study):
        near = finding_table("near_copies", results)
        told["copies_front"] = why_dropout.texts(near, results, missing="")["copies_answer"]
    kept = transfer_against_dropout.table(results)
    told_of_sides = two_sides.transfer_texts(kept, transfer.together_table(results), transfer.merged_in_pairs(8))
    return {**told, "sides_front": told_of_sides["sides_transfer_front"]}
