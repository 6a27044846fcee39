"""Every chapter runs through Papermill with the quick study and with other parameters: `make chapters`, minutes."""

from pathlib import Path

import nbformat
import pytest

from modularity_lib.book.execution import all_chapters, chosen_parameters, executed_notebook, find_chapter

# Besides its defaults, with which `make book` runs it. The studies quick and smoke are computed if they are not stored.
PARAMETERS = {
    "introduction": [{"study": "quick"}, {"study": "final-deep", "others": []}, {"study": "smoke"}],
    "networks": [{"study": "quick"}, {"study": "final-base"}, {"study": "final-wide"}],
    "measures": [{"study": "quick"}, {"dropout": 0.7, "layer": 2}, {"measure_a": "input_covariance", "run": 0}],
    "modules": [{"study": "quick"}, {"study": "smoke", "units": 6}, {"strengths": [0.1], "restarts": 3}],
    "modularity": [
        {"study": "quick"},
        {"study": "final-deep"},
        {"study": "smoke", "measures": ["output_gradient", "input_covariance", "output_hessian"]},
    ],
    "is_it_modules": [{"study": "quick"}, {"study": "final-base"}, {"study": "smoke"}],
    "scores": [
        {"study": "quick"},
        {"study": "final-deep", "layers": [1, 5]},
        {"measures": ["input_gradient", "output_hessian"]},
    ],
    "agreement": [{"study": "quick", "restarts": 2}, {"study": "final-deep", "layer": 5}, {"layer": 2}],
    "two_sides": [{"study": "quick"}, {"study": "final-deep"}, {"study": "smoke"}],
    "lesions": [{"study": "quick"}, {"study": "final-wide"}, {"layers": [2]}],
    "why_dropout": [{"study": "quick"}, {"study": "final-wide"}, {"study": "final-base"}],
    "ledger": [{"study": "quick", "others": ["v1"]}, {"study": "v1", "others": []}, {"study": "final-base"}],
    "others": [{"study": "quick", "data_sets": 20}, {"study": "final-wide"}, {"study": "smoke", "data_sets": 40}],
    "explorer": [
        {"study": "quick"},
        {"study": "smoke", "layer": 2},
        {"study": "final-deep"},
        {"regulariser": "l1", "strength": 0.001, "measure": "output_hessian"},
    ],
    "how_sure": [{"study": "quick"}, {"study": "final-wide"}, {"study": "v1", "others": []}],
    "scope": [{"study": "quick"}, {"study": "final-wide"}, {"study": "smoke"}],
    "live": [{"study": "quick"}, {"study": "smoke"}, {"study": "v1"}],
    "speed": [{"folder": "data/benchmarks"}, {"folder": ""}],
    "status": [{"studies": ["quick"]}, {"studies": ["v1", "smoke"]}, {"studies": []}],
    "your_network": [{"seed": 1, "epochs": 1, "draws": 19}, {"epochs": 0, "draws": 1}],
    "how_to": [{"seed": 1}, {"seed": 12345}],
    "rerun": [{"cores": 1}, {"cores": 16}, {"cores": 64, "studies": []}],
}
CASES = [(name, chosen) for name, choices in PARAMETERS.items() for chosen in choices]


def test_every_chapter_is_tried_with_the_quick_study_and_two_other_choices(project: Path) -> None:
    assert set(PARAMETERS) == {chapter.name for chapter in all_chapters(project)}
    for name, choices in PARAMETERS.items():
        assert len(choices) >= 2 + ("study" in find_chapter(project, name).defaults())
        assert len({str(chosen) for chosen in choices}) == len(choices)
        if "study" in find_chapter(project, name).defaults():
            assert any(chosen.get("study") == "quick" for chosen in choices), name


@pytest.mark.chapters
@pytest.mark.parametrize(("name", "chosen"), CASES, ids=[f"{name}-{chosen}" for name, chosen in CASES])
def test_a_chapter_runs_with_other_parameters(name: str, chosen: dict[str, object], project: Path) -> None:
    chapter = find_chapter(project, name)
    assert chosen_parameters(chapter, chosen) == chosen
    executed = executed_notebook(chapter, chosen, "tried")  # never the key of a page: it is run here and now
    cells = nbformat.read(executed, as_version=4).cells
    executed.unlink()
    injected = [cell for cell in cells if "injected-parameters" in cell.metadata.get("tags", [])]
    assert len(injected) == 1
    for parameter, value in chosen.items():
        assert f"{parameter} = {value!r}".replace("'", '"') in injected[0].source
    assert sum(len(cell.get("outputs", [])) for cell in cells) > 0
