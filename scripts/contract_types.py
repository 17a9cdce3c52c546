"""Converts the message types of contracts/ to another language, for typescript_types.py and python_types.py."""

# ruff: noqa: INP001 - used by commands, not a module of a package
import types
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from generated import field_texts
from msgspec import NODEFAULT, UnsetType
from msgspec.structs import fields


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message."""

    name: str
    """The name in JSON."""
    type: str
    """The type in the target language."""
    text: str | None
    """The field's docstring in the contract."""
    unset: bool
    """Whether it may be missing."""
    defaulted: bool


class TypeWriter(ABC):
    """Converts Python types to declarations in another language, including the structs and enums that they use."""

    plain: ClassVar[Mapping[type, str]]

    def __init__(self) -> None:
        self.declared: dict[str, str] = {}

    def typed(self, hint: Any) -> str:  # noqa: PLR0911 - one return for each form
        """The name or the expression of a type in the target language."""
        origin, arguments = get_origin(hint), get_args(hint)
        if hint in self.plain:
            return self.plain[hint]
        if origin in (Union, types.UnionType):
            return " | ".join(dict.fromkeys(self.typed(each) for each in arguments if each is not UnsetType))
        if origin is Literal:
            return self.literal(arguments)
        if origin is list:
            return self.array(self.typed(arguments[0]))
        if origin is dict:
            return self.mapping(self.typed(arguments[0]), self.typed(arguments[1]))
        if isinstance(hint, type) and issubclass(hint, Enum):
            self.declared[hint.__name__] = self.enum(hint)
            return hint.__name__
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            if hint.__name__ not in self.declared:
                self.declared[hint.__name__] = ""  # declared where it is first used
                self.declared[hint.__name__] = self.struct(hint, self._fields(hint))
            return hint.__name__
        raise TypeError(f"there is no conversion for {hint}")

    @abstractmethod
    def literal(self, values: Sequence[Any]) -> str:
        """One of these values."""

    @abstractmethod
    def array(self, inner: str) -> str:
        """A list."""

    @abstractmethod
    def mapping(self, key: str, value: str) -> str:
        """A dictionary."""

    @abstractmethod
    def enum(self, enum: type[Enum]) -> str:
        """The declaration of an enum."""

    @abstractmethod
    def struct(self, struct: type[msgspec.Struct], members: Sequence[Field]) -> str:
        """The declaration of a struct, whose tag is the field `type`."""

    def _fields(self, struct: type[msgspec.Struct]) -> list[Field]:
        hints, texts = get_type_hints(struct), field_texts(struct)
        return [
            Field(
                field.encode_name,
                self.typed(hints[field.name]),
                texts.get(field.name),
                UnsetType in get_args(hints[field.name]),
                field.default is not NODEFAULT or field.default_factory is not NODEFAULT,
            )
            for field in fields(struct)
        ]
