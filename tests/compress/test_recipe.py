import pytest

from tinydl.compress import Materials, read_recipe
from tinydl.compress.recipe import STEPS
from tinydl.nn import Linear

GIVEN = Materials([], Linear(4, 2), (4,))


def test_a_line_and_a_file_say_the_same():
    line = read_recipe("prune 0.5 scope=layer,finetune 1 lr=1e-4, share bits=4, code", GIVEN)
    file = read_recipe("# smaller\nprune 0.5 layer\nfinetune epochs=1 # once\n\nshare 4\ncode\n", GIVEN)
    assert str(line) == str(file) == "prune 0.5, finetune 1, share 4, code"


def test_every_word_makes_a_step():
    for word in STEPS:
        settings = " 0.5" if word == "prune" else ""
        assert str(read_recipe(word + settings, GIVEN)).startswith(word)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "recipe must have a step"),
        (" # nothing\n,,", "recipe must have a step"),
        ("prunes 0.9", "no step is called 'prunes'; did you mean prune?"),
        ("melt 3", "no step is called 'melt'; there are prune, finetune"),
        ("prune", "'prune': missing a required argument: 'sparsity'; prune takes sparsity, scope"),
        ("prune 1.5", r"recipe: 'prune 1.5': sparsity must be in \[0, 1\), got 1.5"),
        ("prune lots", "'prune lots': sparsity must be a number"),
        ("finetune 1 rate=3", "unexpected keyword argument 'rate'; finetune takes epochs, lr"),
        ("finetune 1.5", "'finetune 1.5': epochs must be an integer"),
        ("prune 0.5 sparsity=0.6", "multiple values"),
        ("code 3", "too many positional arguments; code takes nothing"),
    ],
)
def test_refuses_and_names_the_step(text, message):
    with pytest.raises(ValueError, match=message):
        read_recipe(text, GIVEN)
