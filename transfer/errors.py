"""What can go wrong, as a small tree of exceptions whose messages a non-expert can act on.

    TransferError            anything that a person can mend; the message says how
    ├── DataError            the uploaded pictures cannot be used as they are
    │   ├── ArchiveError     the archive is damaged, dangerous or of an unknown kind
    │   └── UnlabelledError  nothing says which class the pictures are: they lie in no folder
    ├── BackboneError        an unknown backbone, or its weights are not to be had
    ├── SettingsError        a setting is out of range, or differs from those of the run
    ├── RunError             the run folder is missing, unfinished, damaged or in use
    │   ├── StoppedError     the user stopped the run before there was anything to keep
    │   └── PausedError      the user paused the run; what it needs to go on is kept
    ├── TokenError           a link of the app is too old or was not made by it
    ├── ExportError          the exported model does not give the same answers
    └── ServiceError         the prediction process cannot be started or does not answer

Every message says what was expected, what came, and what to do.
"""


class TransferError(Exception):
    """Base of all errors that are shown to the user as a sentence (exit status 2)."""


class DataError(TransferError):
    """The pictures, or the way they are laid out, cannot be used."""


class ArchiveError(DataError):
    """The archive is damaged, dangerous or of a kind that is not read."""


class UnlabelledError(DataError):
    """The pictures lie in no folder, so that nothing says which class they are."""


class BackboneError(TransferError):
    """The backbone is unknown, or its weights are neither here nor to be had."""


class SettingsError(TransferError):
    """A setting is out of range, or differs from those with which the run was started."""


class RunError(TransferError):
    """The run folder is missing, unfinished, damaged or in use by another process."""


class StoppedError(RunError):
    """The user stopped the run before there was anything to keep."""


class PausedError(RunError):
    """The user paused the run; what it needs to go on is kept."""


class TokenError(TransferError):
    """A link of the app is too old, or was not made by it."""


class ExportError(TransferError):
    """The exported model does not give the same answers as the trained one."""


class ServiceError(TransferError):
    """The prediction process cannot be started, does not answer, or was asked in a wrong way."""
