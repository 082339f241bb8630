"""The refusal of an operator's action."""


class WorkbenchError(ValueError):
    """An action of an operator that is not possible; the text is for the operator."""
