"""What the settings are made of: the section and the number types that many of them share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Port = Annotated[int, Field(ge=1, le=65535)]
Positive = Annotated[int, Field(gt=0)]
NotNegative = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A group of settings. Unknown names are errors, and values do not change once they are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
