"""The glossary defines the terms that a learner searches for, and its tables do not contradict each other."""

import re
from itertools import chain

import pytest

from helpers.glossary import Word, definitions, parse_words, replacements

TERMS = (
    "activation function",
    "backpropagation",
    "batch normalization",
    "cross entropy",
    "data augmentation",
    "early stopping",
    "feature map",
    "fully connected layer",
    "gradient descent",
    "ground truth",
    "inference",
    "latent space",
    "learning rate",
    "mode collapse",
    "mutual information",
    "non-maximum suppression",
    "one-hot",
    "overfitting",
    "part affinity field",
    "receptive field",
    "skip connection",
    "softmax",
    "transfer learning",
    "vanishing gradient",
    "weight decay",
)


def test_every_term_has_a_definition_in_one_or_two_sentences() -> None:
    defined = definitions()
    assert set(TERMS) <= set(defined)
    assert list(defined) == sorted(defined, key=str.casefold)
    for term, text in defined.items():
        assert 1 <= len(re.findall(r"\.(?: |$)", text)) <= 2, term


@pytest.mark.parametrize("title", ["Prose", "Identifiers", "Options and settings", "JSON keys"])
def test_a_word_is_replaced_once_and_is_not_its_own_replacement(title: str) -> None:
    table = replacements(title)
    avoided = [word for _, words in table for word in words]
    assert len(avoided) == len(set(avoided)) > 4
    used = {word.text for word in chain.from_iterable(use for use, _ in table)}
    assert not {word.text for word in avoided if not word.context} & used


def test_words_of_a_cell() -> None:
    assert parse_words("overfit, memorize") == [Word("overfit"), Word("memorize")]
    assert parse_words("`Stage` (in `data/`), `Pool`") == [Word("Stage", "in `data/`"), Word("Pool")]
