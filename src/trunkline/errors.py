"""Every error Trunkline raises, named as users of OpenAI's client and of LiteLLM know them.

    TrunklineError
    ├── ConfigurationError            a setting, an environment variable or an option is wrong
    └── APIError                      a call failed; everything below says where and what to do
        ├── APIConnectionError        no answer, or half of one
        │   ├── Timeout               408, and limits of ours
        │   │   └── DeadlineExceeded  the call's own deadline
        │   └── StreamTruncated       a stream ended without saying that it was finished
        ├── InvalidResponseError      an answer came that cannot be read
        │   └── OutputValidationError an answer does not fit the `response_model`
        ├── BadRequestError           400
        │   ├── InvalidInputError     refused here, before anything was sent
        │   │   └── UnknownParameterError
        │   ├── ContextWindowExceededError  (also an UnprocessableEntityError: TGI answers 422)
        │   ├── ContentPolicyViolationError
        │   ├── UnsupportedParamsError  (also an UnprocessableEntityError: some answer 422)
        │   └── RequestTooLargeError  413
        ├── AuthenticationError       401, and no token at all
        ├── PaymentRequiredError      402
        ├── PermissionDeniedError     403
        ├── NotFoundError             404
        │   ├── ModelNotSupportedError  (also a BadRequestError: the router answers 400)
        │   └── GoneError             410
        ├── ConflictError             409
        ├── UnprocessableEntityError  422
        ├── RateLimitError            429
        ├── ToolRoundsExceeded        the model still called tools after `max_rounds` answers
        ├── JobError                  an asynchronous job; `job` finds it again
        │   ├── JobFailedError        the provider gave it up
        │   ├── JobCancelledError
        │   ├── JobModeratedError     (also a ContentPolicyViolationError)
        │   ├── JobLostError          the provider no longer knows it (also a NotFoundError)
        │   └── JobUnfinishedError    it was not done in time (also a DeadlineExceeded)
        └── InternalServerError       500 and every other 5xx
            ├── GenerationError       424, a model failed while answering
            ├── BadGatewayError       502
            ├── ServiceUnavailableError  503
            │   ├── ModelLoadingError    503, the model is being loaded
            │   └── RouteExhaustedError  no place on a call's route could serve it
            └── GatewayTimeoutError   504 (also a Timeout)

A class names one meaning; those that belong to an HTTP status register themselves for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from trunkline.types import Attempt, Completion
    from trunkline.types.job import Job
    from trunkline.types.route import RouteReport

_BY_STATUS: dict[int, type[APIError]] = {}


class TrunklineError(Exception):
    """The root: `except TrunklineError` catches whatever this package raises on purpose."""


class ConfigurationError(TrunklineError, ValueError):
    """A setting, an environment variable or an option is wrong."""


class APIError(TrunklineError):
    """A call failed.

    `str(error)` is one paragraph: what happened, where, and what to do next. The same facts are
    attributes, each None where unknown.
    """

    status_of_class: ClassVar[int | None] = None
    job: Job | None = None
    """The asynchronous job that the error has to do with, where there is one."""
    partial: Any = None
    """What had come of a streamed answer when the error ended it, in the form of a whole one."""
    call_id: str | None = None
    """The call's id in the local log; None where calls are not logged."""
    route: RouteReport | None = None
    """Who could have served the call and how each was rated, where it had a route."""

    def __init_subclass__(cls, *, status: int | None = None, **kwargs: Any) -> None:
        """Register the class for an HTTP status."""
        super().__init_subclass__(**kwargs)
        if status is not None:
            cls.status_of_class = status
            _BY_STATUS[status] = cls

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        attempts: tuple[Attempt, ...] = (),
        retry_after: float | None = None,
        should_retry: bool | None = None,
        hint: str | None = None,
        code: str | None = None,
        body: Any = None,
    ) -> None:
        """Keep the facts.

        `retry_after` is in seconds; `should_retry` is the server's own word on it, where it gave
        one; `body` is the answer as decoded JSON or text.
        """
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.model = model
        self.status = status
        self.request_id = request_id
        self.attempts = attempts
        self.retry_after = retry_after
        self.should_retry = should_retry
        self.hint = hint
        self.code = code
        self.body = body

    @property
    def status_code(self) -> int | None:
        """`status`, under the name that other clients use."""
        return self.status

    @property
    def llm_provider(self) -> str | None:
        """`provider`, under LiteLLM's name."""
        return self.provider

    def __str__(self) -> str:
        """Say what happened, where, and what to do next."""
        where = [
            f"{name} {value}"
            for name, value in (
                ("provider", self.provider),
                ("model", self.model),
                ("status", self.status),
                ("request id", self.request_id),
                ("logged as", self.call_id),
            )
            if value is not None
        ]
        if len(self.attempts) > 1:
            where.append(f"{len(self.attempts)} attempts")
        said = f"{self.message} ({', '.join(where)})" if where else self.message
        return f"{said}\n{self.hint}" if self.hint else said

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by attributes, so that an error crosses process borders whole."""
        return _restore, (type(self), self.message, self.__dict__.copy())


def _restore(cls: type[APIError], message: str, state: dict[str, Any]) -> APIError:
    error = cls.__new__(cls, message)
    error.args = (message,)
    error.__dict__.update(state)
    return error


class APIConnectionError(APIError):
    """No answer came, or half of one."""

    sent: bool = False
    """Whether the request may have reached the server."""
    received: bool = False
    """Whether any of the answer had arrived."""
    at: float | None = None
    """When it happened, by `time.monotonic`, where that is not just now: in a replay."""


class Timeout(APIConnectionError, status=408):
    """A time limit passed: the server's (408) or one of the call's."""


class DeadlineExceeded(Timeout):
    """The call's own `deadline` passed."""


class StreamTruncated(APIConnectionError):
    """A stream ended without a finish reason: what arrived is here, and it is not the whole."""

    def __init__(
        self,
        message: str,
        *,
        text: str = "",
        usage: Any = None,
        partial: Any = None,
        **facts: Any,
    ) -> None:
        """Keep the partial `text`, `usage` and the `partial` answer."""
        super().__init__(message, **facts)
        self.text = text
        self.usage = usage
        self.partial = partial
        self.sent = True
        self.received = True


class InvalidResponseError(APIError):
    """An answer came that cannot be read as one."""


class OutputValidationError(InvalidResponseError):
    """An answer does not fit the `response_model`; `text` is what the model wrote."""

    def __init__(
        self, message: str, *, text: str = "", completion: Completion | None = None, **facts: Any
    ) -> None:
        """Keep the raw `text` and the `completion` it came in."""
        super().__init__(message, **facts)
        self.text = text
        self.completion = completion


class BadRequestError(APIError, status=400):
    """The server refused the request as wrong."""


class InvalidInputError(BadRequestError, ValueError):
    """Refused here, before a byte was sent."""


class UnknownParameterError(InvalidInputError, TypeError):
    """A keyword that no chat parameter has; `extra_body` sends it anyway."""


class ContentPolicyViolationError(BadRequestError):
    """The provider refused the content."""


class RequestTooLargeError(BadRequestError, status=413):
    """The request's body is larger than the server takes."""


class AuthenticationError(APIError, status=401):
    """The token or key is missing, wrong, expired or revoked."""


class PaymentRequiredError(APIError, status=402):
    """Credits are used up, or the account cannot pay for this provider."""


class PermissionDeniedError(APIError, status=403):
    """The token is known and may not do this."""


class NotFoundError(APIError, status=404):
    """The model or route does not exist."""


class ModelNotSupportedError(NotFoundError, BadRequestError):
    """No enabled provider, or not this one, serves the model (the router says so with a 400)."""


class GoneError(NotFoundError, status=410):
    """The address is no longer served."""


class ConflictError(APIError, status=409):
    """The request conflicts with another."""


class UnprocessableEntityError(APIError, status=422):
    """The request's shape was understood and its content refused."""


class ContextWindowExceededError(BadRequestError, UnprocessableEntityError):
    """The prompt, or prompt and answer together, exceed the model's context."""


class UnsupportedParamsError(BadRequestError, UnprocessableEntityError):
    """The provider does not take a parameter that was sent."""


class RateLimitError(APIError, status=429):
    """Too many requests, or the model is overloaded; `retry_after` in seconds where told."""


class InternalServerError(APIError, status=500):
    """The server failed."""


class ToolRoundsExceeded(APIError):
    """The model still called tools after `max_rounds` answers; what was done so far is here."""

    def __init__(
        self,
        message: str,
        *,
        messages: list[dict[str, Any]],
        completions: tuple[Completion, ...] = (),
        **facts: Any,
    ) -> None:
        """Keep the conversation up to the last tool's result, and every answer with its receipt."""
        super().__init__(message, **facts)
        self.messages = messages
        self.completions = completions


class JobError(APIError):
    """An asynchronous job did not bring a result; `job` resumes it, or says which it was."""

    def __init__(self, message: str, *, job: Job | None = None, **facts: Any) -> None:
        """Keep the `job`."""
        super().__init__(message, **facts)
        self.job = job


class JobFailedError(JobError):
    """The provider gave the job up."""


class JobCancelledError(JobError):
    """The job was cancelled."""


class JobModeratedError(JobError, ContentPolicyViolationError):
    """The job's content was refused."""


class JobLostError(JobError, NotFoundError):
    """The provider does not know the job, or no longer."""


class JobUnfinishedError(JobError, DeadlineExceeded):
    """The job was not done within the time allowed; it may still be: resume it."""


class GenerationError(InternalServerError, status=424):
    """The model failed while it answered."""


class BadGatewayError(InternalServerError, status=502):
    """A server in between got no proper answer."""


class ServiceUnavailableError(InternalServerError, status=503):
    """The service is overloaded or down for the moment."""


class ModelLoadingError(ServiceUnavailableError):
    """The model is being loaded; `retry_after` is the server's estimate in seconds."""


class RouteExhaustedError(ServiceUnavailableError):
    """No place on a call's route could serve it; the message says of each why not."""


class GatewayTimeoutError(InternalServerError, Timeout, status=504):
    """A server in between waited too long; streaming keeps such a connection alive."""


def class_for_status(status: int) -> type[APIError]:
    """Return the class registered for `status`, else the nearest by its hundred."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return InternalServerError if status >= 500 else BadRequestError if status >= 400 else APIError
