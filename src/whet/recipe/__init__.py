"""What is wanted, validated and complete: the only list of options there is."""

from whet.recipe.reading import dump, from_options, load
from whet.recipe.schema import Recipe

__all__ = ["Recipe", "dump", "from_options", "load"]
