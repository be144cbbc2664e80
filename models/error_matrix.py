"""What a model makes of labelled texts, counted per language and topic: the errors that shares are corrected for.

The matrices of the models that ship are in error_matrices.json; `groundswell models errors` makes them and yours. How they are
used: groundswell/prevalence.py.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from groundswell.codec import canonical
from groundswell.errors import SettingsError, reason_of
from groundswell.names import LANGUAGES, content_id
from groundswell.prevalence import ErrorMatrix, Errors, matrices_in
from models.answers import Answer, Answers
from models.examples import Example

SHIPPED: Final = Path(__file__).parent / "error_matrices.json"


def error_matrices(examples: Sequence[Example], answers: Answers, languages: Collection[str]) -> list[ErrorMatrix]:
    """One matrix for each language of texts whose sentiment is labelled, or at least whether it is negative.

    Args:
        examples: labelled texts; those without such a label are left out.
        answers: what the scorer said of them, in order; unscored texts are left out, as a window has none of them either.
        languages: of the scorer that answered.
    """
    counts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0, 0]))
    corpora: dict[str, set[str]] = defaultdict(set)
    for example, answer in zip(examples, answers.plain, strict=True):
        negative = example.sentiment == 0 if example.sentiment is not None else example.negative
        if negative is None or answer["sentiment"] is None:
            continue
        corpora[example.language].add(example.corpus)
        _count(counts[example.language][answer["topic"]], answer, negative=negative)
    return [
        ErrorMatrix(
            model=_part_of(answers.model, language, languages),
            language=language,
            corpora=sorted(corpora[language]),
            whole=_errors([sum(column) for column in zip(*found.values(), strict=True)]),
            topics={topic: _errors(row) for topic, row in sorted(found.items())},
        )
        for language, found in sorted(counts.items())
    ]


def _part_of(model_id: str, language: str, languages: Collection[str]) -> str:
    """The model of one language in the name of a scorer: ByLanguage joins them in the order of names.LANGUAGES.

    >>> [_part_of(name, "zh", {"en", "zh"}) for name in ("both", "one+two")]
    ['both', 'two']
    """
    parts = model_id.split("+")
    return parts[[name for name in LANGUAGES if name in languages].index(language)] if len(parts) > 1 else model_id


def _count(row: list[int], answer: Answer, *, negative: bool) -> None:
    first = 0 if negative else 2
    row[first] += answer["sentiment"] == "negative"
    row[first + 1] += 1


def _errors(row: Sequence[int]) -> Errors:
    hits, negatives, alarms, others = row
    return Errors(hits=hits, negatives=negatives, alarms=alarms, others=others)


def load_matrices(extra: Iterable[Path] = ()) -> tuple[str, bytes]:
    """Hash and content of the matrices that ship and of further files; of two for one model and language the later one counts.

    Raises:
        SettingsError: a file cannot be read, or is no list of matrices.
    """
    found: dict[tuple[str, str], ErrorMatrix] = {}
    for path in (SHIPPED, *extra):
        try:
            matrices = matrices_in(path.read_bytes())
        except OSError as error:
            message = f"models.errors: {path}: cannot be read ({error.strerror or reason_of(error)}); correct the path or its permissions"
            raise SettingsError(message) from error
        found |= {(one.model, one.language): one for one in matrices}
    content = canonical([found[key] for key in sorted(found)])
    return content_id(content.decode()), content


def written(matrices: Sequence[ErrorMatrix]) -> bytes:
    """The matrices as a file that people can read: what `load_matrices` reads."""
    return msgspec.json.format(canonical(list(matrices)), indent=1) + b"\n"
