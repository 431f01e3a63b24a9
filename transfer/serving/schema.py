"""What the routes say, for OpenAPI: see `api`."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from transfer.serving import limits


class Health(BaseModel):
    """That it answers, and how it is."""

    status: Literal["ok"]
    models: list[str] = Field(description="Those in memory, the last used at the end.")
    answered: int = Field(description="Pictures answered so far.")
    memory_mb: int = Field(description="Resident memory of the process, in MB.")
    pid: int


class Listed(BaseModel):
    """One model that can be asked."""

    name: str
    kind: Literal["run", "savedmodel"]
    loaded: bool = Field(description="Whether it is in memory.")


class Listing(BaseModel):
    """The models that can be asked."""

    models: list[Listed]


class Described(BaseModel):
    """One model in memory."""

    name: str
    kind: Literal["run", "savedmodel"]
    classes: list[str]
    outputs: list[str] = Field(description='Its outputs; "probabilities" is always among them.')


class Prediction(BaseModel):
    """What a model says of one picture."""

    file: str | None = Field(description="The file's name, where the request gave one.")
    label: str = Field(description="The class of the highest probability.")
    probabilities: list[float] = Field(description="One for each class, in the order of `classes`.")
    outputs: dict[str, Any] = Field(description="The model's further outputs, by name.")


class Answer(BaseModel):
    """What a model says of the pictures of a request, in their order."""

    model: str
    classes: list[str]
    predictions: list[Prediction]
    milliseconds: float = Field(
        description="For decoding, waiting for a batch and computing, without loading the model."
    )


class Problem(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="A sentence: what was expected, what came, what to do.")
    kind: str = Field(description="DataError: the pictures; RunError: the model; ServiceError.")
    leaving: bool = Field(default=False, description="The process is ending.")


_BYTES = {"schema": {"type": "string", "format": "binary"}}
_FILES = {"type": "array", "maxItems": limits.MOST_PICTURES, "items": _BYTES["schema"]}

PICTURES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": (
            f"The bytes of one picture file (at most {limits.MOST_UPLOAD_MB} MB), or a form of up"
            f" to {limits.MOST_PICTURES} files (together at most {limits.MOST_REQUEST_MB} MB)."
            " JPEG, PNG, WebP, BMP, GIF or TIFF; the bytes say which, not the content type."
        ),
        "content": {
            "image/*": _BYTES,
            "application/octet-stream": _BYTES,
            "multipart/form-data": {"schema": {"type": "object", "properties": {"file": _FILES}}},
        },
    }
}

_REASONS = {
    400: "The form cannot be read.",
    404: "There is no such model, or it is not finished.",
    408: "The request came too slowly.",
    413: "The pictures are too large or too many.",
    415: "The content type is not that of a picture.",
    422: "A picture cannot be read.",
    500: "The model is damaged, or something unexpected happened.",
    503: "Too much to do, or ending: try again.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of answers with these statuses."""
    return {status: {"model": Problem, "description": _REASONS[status]} for status in statuses}
