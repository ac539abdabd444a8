"""What to do about an error, by its class: at Hugging Face's addresses, and at others."""

from __future__ import annotations

from trunkline import errors

HINTS: tuple[tuple[type[errors.APIError], str], ...] = (
    (
        errors.ModelNotSupportedError,
        (
            "Check the spelling at https://huggingface.co/models, which providers serve the model "
            "(`trunkline models SEARCH`), and which ones are enabled at "
            "https://huggingface.co/settings/inference-providers."
        ),
    ),
    (
        errors.ContextWindowExceededError,
        (
            "Shorten the input, lower max_tokens, or choose a model with a longer context; texts to "
            "embed can be cut with truncate=True."
        ),
    ),
    (
        errors.UnsupportedParamsError,
        "Leave the parameter out, or choose a provider that takes it.",
    ),
    (
        errors.AuthenticationError,
        (
            "The token was not accepted: `trunkline doctor` shows which one is used and where it "
            "was found. New tokens: https://huggingface.co/settings/tokens."
        ),
    ),
    (
        errors.PaymentRequiredError,
        (
            "Add credits or subscribe at https://huggingface.co/settings/billing, name an "
            "organisation with bill_to=, or use a provider's own key. It is not tried again."
        ),
    ),
    (
        errors.PermissionDeniedError,
        (
            "The token needs the permission 'Make calls to Inference Providers' "
            "(https://huggingface.co/settings/tokens); a gated model also needs its terms accepted."
        ),
    ),
    (errors.GoneError, "Use https://router.huggingface.co, which is the default here."),
    (errors.GatewayTimeoutError, "A chat's long answer keeps its connection with stream=True."),
    (
        errors.ModelLoadingError,
        "The model is being loaded; it is tried again while retries and the deadline allow.",
    ),
)
"""What to do about an error of Hugging Face's or of one of its providers; the first row that fits."""

HINTS_ELSEWHERE: tuple[tuple[type[errors.APIError], str], ...] = (
    (errors.AuthenticationError, "Pass the credential that this server expects as token=."),
    (
        errors.NotFoundError,
        (
            "Check the model's name (the server's /v1/models lists what it has) and the address. "
            "Where a task other than chat is served at the address itself, say engine='pipeline'."
        ),
    ),
)
"""The same where the address is not Hugging Face's: whose tokens and pages do not help there."""
