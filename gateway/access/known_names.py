"""The names of persons that the feed has shown, by tenant: what has to be found in free text for viewers who may not see it.

Pure, and bounded per tenant: beyond the bound the name that the feed has not shown for longest is forgotten.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

_NAME_CHARACTERS_MAX = 200
_WORDS_MAX = 8
_PART_LETTERS_MIN = 4
"""A part of a name that is shorter is not found where it begins with a small letter: `may` is a word, too."""
_WORD = re.compile(
    r"\{(?:person|site)_name\}"  # a placeholder, which no name is
    # Scripts that write words without spaces between them: each character is one.
    "|[\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]"
    r"|[^\W_]+"
)

Words = tuple[str, ...]
K = TypeVar("K")


class Word(NamedTuple):
    """A word of a text, and where it is written there."""

    text: str
    """Without accents and capitals."""
    start: int
    end: int


class TenantNames:
    """The names of one tenant's persons.

    Args:
        names_max: how many are kept.
    """

    def __init__(self, names_max: int) -> None:
        self._names_max = names_max
        self._written: dict[str, tuple[Words, ...]] = {}
        """Each name as the feed has it, and the words by which it is found; the one seen longest ago first."""
        self._names: Counter[Words] = Counter()
        self._first_words: Counter[str] = Counter()
        self._parts: Counter[str] = Counter()
        self._vocabulary: set[str] = set()
        """All of their words; those of names that were forgotten stay until there are too many."""
        self.version = 0
        """Rises with each new name."""

    def __len__(self) -> int:
        return len(self._written)

    def learn(self, name: str) -> None:
        """Take note of a name that the feed shows."""
        known = self._written.pop(name, None)
        if known is None:
            known = _ways(name[:_NAME_CHARACTERS_MAX])
            self._count(known, 1)
            self.version += 1
            if len(self._written) >= self._names_max:
                self._count(self._written.pop(next(iter(self._written))), -1)
        self._written[name] = known

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Where the text has a name, or a part of one: start and end, in order and not overlapping."""
        # Nearly always enough, and many times faster than a look at each word.
        if text.isascii() and self._vocabulary.isdisjoint(_WORD.findall(text.lower())):
            return
        found = words(text)
        index = 0
        while index < len(found):
            length = self._length_at(found, index)
            if length:
                yield found[index].start, found[index + length - 1].end
            elif self._is_part(text, found[index]):
                yield found[index].start, found[index].end
            index += length or 1

    def _length_at(self, found: Sequence[Word], index: int) -> int:
        """How many words the longest name has that begins at a word; 0 where none does."""
        if found[index].text not in self._first_words:
            return 0
        candidate = tuple(word.text for word in found[index : index + _WORDS_MAX])
        return next((length for length in range(len(candidate), 0, -1) if candidate[:length] in self._names), 0)

    def _is_part(self, text: str, word: Word) -> bool:
        if word.text not in self._parts:
            return False
        return len(word.text) >= _PART_LETTERS_MIN or not text[word.start].islower()

    def _count(self, ways: Sequence[Words], change: int) -> None:
        for way in ways:
            _add(self._names, way, change)
            _add(self._first_words, way[0], change)
        # A name with a number, such as `Guard 7`, is a label: its words are those of any text.
        if ways and not any(map(str.isdigit, ways[0])):
            for part in ways[0]:
                if len(part) > 1:
                    _add(self._parts, part, change)
        if change > 0:
            self._vocabulary.update(*ways)
        elif len(self._vocabulary) > 2 * len(self._first_words) + len(self._parts):
            self._vocabulary = {*self._first_words, *self._parts}


class KnownNames:
    """The names of all tenants.

    Args:
        names_max: of each tenant.
    """

    def __init__(self, names_max: int) -> None:
        self._names_max = names_max
        self._tenants: dict[int, TenantNames] = {}

    def of(self, tenant_id: int) -> TenantNames:
        """The names of a tenant."""
        names = self._tenants.get(tenant_id)
        if names is None:
            names = self._tenants[tenant_id] = TenantNames(self._names_max)
        return names

    def clear(self) -> None:
        """Forget everything: the log is another one."""
        self._tenants.clear()


def words(text: str) -> list[Word]:
    """The words of a text.

    >>> [word.text for word in words("Zoë O'Hara, 李明")]
    ['zoe', 'o', 'hara', '李', '明']
    """
    plain = str.casefold if text.isascii() else _plain
    return [Word(plain(found[0]), *found.span()) for found in _WORD.finditer(text)]


def _plain(word: str) -> str:
    letters = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _ways(name: str) -> tuple[Words, ...]:
    """The orders in which a name is written: as it is, and with its last word first."""
    found = tuple(word.text for word in words(visible(name)))[:_WORDS_MAX]
    if not found or sum(map(len, found)) < 2:  # noqa: PLR2004 - a single letter would be found everywhere
        return ()
    return (found,) if len(found) == 1 else (found, (found[-1], *found[:-1]))


def visible(text: str) -> str:
    """The text in its usual characters and without those that nobody sees, behind which a name could hide.

    >>> visible("Va\u200blerie \uff37")
    'Valerie W'
    """
    if text.isascii():
        return text
    return "".join(letter for letter in unicodedata.normalize("NFKC", text) if unicodedata.category(letter) != "Cf")


def _add(counter: Counter[K], key: K, change: int) -> None:
    counter[key] += change
    if counter[key] <= 0:
        del counter[key]
