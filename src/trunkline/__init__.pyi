from trunkline._version import __version__ as __version__
from trunkline.answer_functions import amessages as amessages
from trunkline.answer_functions import aresponses as aresponses
from trunkline.answer_functions import atext_completion as atext_completion
from trunkline.answer_functions import messages as messages
from trunkline.answer_functions import responses as responses
from trunkline.answer_functions import text_completion as text_completion
from trunkline.catalog import Catalog as Catalog
from trunkline.catalog import ModelEntry as ModelEntry
from trunkline.catalog import Offer as Offer
from trunkline.catalog import sum_costs as sum_costs
from trunkline.catalog_functions import acost as acost
from trunkline.catalog_functions import aestimate as aestimate
from trunkline.catalog_functions import amodel_info as amodel_info
from trunkline.catalog_functions import amodels as amodels
from trunkline.catalog_functions import aplan as aplan
from trunkline.catalog_functions import asupports as asupports
from trunkline.catalog_functions import cost as cost
from trunkline.catalog_functions import estimate as estimate
from trunkline.catalog_functions import model_info as model_info
from trunkline.catalog_functions import models as models
from trunkline.catalog_functions import plan as plan
from trunkline.catalog_functions import supports as supports
from trunkline.client import AsyncClient as AsyncClient
from trunkline.client import Client as Client
from trunkline.compat.litellm import install_as_litellm as install_as_litellm
from trunkline.errors import APIConnectionError as APIConnectionError
from trunkline.errors import APIError as APIError
from trunkline.errors import AuthenticationError as AuthenticationError
from trunkline.errors import BadGatewayError as BadGatewayError
from trunkline.errors import BadRequestError as BadRequestError
from trunkline.errors import ConfigurationError as ConfigurationError
from trunkline.errors import ConflictError as ConflictError
from trunkline.errors import ContentPolicyViolationError as ContentPolicyViolationError
from trunkline.errors import ContextWindowExceededError as ContextWindowExceededError
from trunkline.errors import DeadlineExceeded as DeadlineExceeded
from trunkline.errors import GatewayTimeoutError as GatewayTimeoutError
from trunkline.errors import GenerationError as GenerationError
from trunkline.errors import GoneError as GoneError
from trunkline.errors import InternalServerError as InternalServerError
from trunkline.errors import InvalidInputError as InvalidInputError
from trunkline.errors import InvalidResponseError as InvalidResponseError
from trunkline.errors import JobCancelledError as JobCancelledError
from trunkline.errors import JobError as JobError
from trunkline.errors import JobFailedError as JobFailedError
from trunkline.errors import JobLostError as JobLostError
from trunkline.errors import JobModeratedError as JobModeratedError
from trunkline.errors import JobUnfinishedError as JobUnfinishedError
from trunkline.errors import ModelLoadingError as ModelLoadingError
from trunkline.errors import ModelNotSupportedError as ModelNotSupportedError
from trunkline.errors import NotFoundError as NotFoundError
from trunkline.errors import OutputValidationError as OutputValidationError
from trunkline.errors import PaymentRequiredError as PaymentRequiredError
from trunkline.errors import PermissionDeniedError as PermissionDeniedError
from trunkline.errors import RateLimitError as RateLimitError
from trunkline.errors import RequestTooLargeError as RequestTooLargeError
from trunkline.errors import RouteExhaustedError as RouteExhaustedError
from trunkline.errors import ServiceUnavailableError as ServiceUnavailableError
from trunkline.errors import StreamTruncated as StreamTruncated
from trunkline.errors import Timeout as Timeout
from trunkline.errors import ToolRoundsExceeded as ToolRoundsExceeded
from trunkline.errors import TrunklineError as TrunklineError
from trunkline.errors import UnknownParameterError as UnknownParameterError
from trunkline.errors import UnprocessableEntityError as UnprocessableEntityError
from trunkline.errors import UnsupportedParamsError as UnsupportedParamsError
from trunkline.functions import acompletion as acompletion
from trunkline.functions import completion as completion
from trunkline.functions import default_async_client as default_async_client
from trunkline.functions import default_client as default_client
from trunkline.functions import set_default_client as set_default_client
from trunkline.media import image_part as image
from trunkline.planning import Plan as Plan
from trunkline.planning import PlannedPlace as PlannedPlace
from trunkline.providers.engines import Engine as Engine
from trunkline.routing.policy import Policy as Policy
from trunkline.streams import AsyncEventStream as AsyncEventStream
from trunkline.streams import AsyncStream as AsyncStream
from trunkline.streams import EventStream as EventStream
from trunkline.streams import Stream as Stream
from trunkline.task_functions import aaudio_classification as aaudio_classification
from trunkline.task_functions import aaudio_to_audio as aaudio_to_audio
from trunkline.task_functions import acancel_job as acancel_job
from trunkline.task_functions import adocument_question_answering as adocument_question_answering
from trunkline.task_functions import aembedding as aembedding
from trunkline.task_functions import aendpoint_info as aendpoint_info
from trunkline.task_functions import afill_mask as afill_mask
from trunkline.task_functions import aimage_classification as aimage_classification
from trunkline.task_functions import aimage_edit as aimage_edit
from trunkline.task_functions import aimage_generation as aimage_generation
from trunkline.task_functions import aimage_segmentation as aimage_segmentation
from trunkline.task_functions import aimage_text_to_image as aimage_text_to_image
from trunkline.task_functions import aimage_text_to_video as aimage_text_to_video
from trunkline.task_functions import aimage_to_text as aimage_to_text
from trunkline.task_functions import aimage_to_video as aimage_to_video
from trunkline.task_functions import aobject_detection as aobject_detection
from trunkline.task_functions import aquestion_answering as aquestion_answering
from trunkline.task_functions import arerank as arerank
from trunkline.task_functions import aresume_job as aresume_job
from trunkline.task_functions import asentence_similarity as asentence_similarity
from trunkline.task_functions import asparse_embedding as asparse_embedding
from trunkline.task_functions import aspeech as aspeech
from trunkline.task_functions import asummarization as asummarization
from trunkline.task_functions import atable_question_answering as atable_question_answering
from trunkline.task_functions import atabular_classification as atabular_classification
from trunkline.task_functions import atabular_regression as atabular_regression
from trunkline.task_functions import atext_classification as atext_classification
from trunkline.task_functions import atext_to_audio as atext_to_audio
from trunkline.task_functions import atext_to_video as atext_to_video
from trunkline.task_functions import atoken_classification as atoken_classification
from trunkline.task_functions import atranscription as atranscription
from trunkline.task_functions import atranslation as atranslation
from trunkline.task_functions import audio_classification as audio_classification
from trunkline.task_functions import audio_to_audio as audio_to_audio
from trunkline.task_functions import avisual_question_answering as avisual_question_answering
from trunkline.task_functions import azero_shot_classification as azero_shot_classification
from trunkline.task_functions import (
    azero_shot_image_classification as azero_shot_image_classification,
)
from trunkline.task_functions import cancel_job as cancel_job
from trunkline.task_functions import document_question_answering as document_question_answering
from trunkline.task_functions import embedding as embedding
from trunkline.task_functions import endpoint_info as endpoint_info
from trunkline.task_functions import fill_mask as fill_mask
from trunkline.task_functions import image_classification as image_classification
from trunkline.task_functions import image_edit as image_edit
from trunkline.task_functions import image_generation as image_generation
from trunkline.task_functions import image_segmentation as image_segmentation
from trunkline.task_functions import image_text_to_image as image_text_to_image
from trunkline.task_functions import image_text_to_video as image_text_to_video
from trunkline.task_functions import image_to_text as image_to_text
from trunkline.task_functions import image_to_video as image_to_video
from trunkline.task_functions import object_detection as object_detection
from trunkline.task_functions import question_answering as question_answering
from trunkline.task_functions import rerank as rerank
from trunkline.task_functions import resume_job as resume_job
from trunkline.task_functions import sentence_similarity as sentence_similarity
from trunkline.task_functions import sparse_embedding as sparse_embedding
from trunkline.task_functions import speech as speech
from trunkline.task_functions import summarization as summarization
from trunkline.task_functions import table_question_answering as table_question_answering
from trunkline.task_functions import tabular_classification as tabular_classification
from trunkline.task_functions import tabular_regression as tabular_regression
from trunkline.task_functions import text_classification as text_classification
from trunkline.task_functions import text_to_audio as text_to_audio
from trunkline.task_functions import text_to_video as text_to_video
from trunkline.task_functions import token_classification as token_classification
from trunkline.task_functions import transcription as transcription
from trunkline.task_functions import translation as translation
from trunkline.task_functions import visual_question_answering as visual_question_answering
from trunkline.task_functions import zero_shot_classification as zero_shot_classification
from trunkline.task_functions import (
    zero_shot_image_classification as zero_shot_image_classification,
)
from trunkline.tool_loop import ToolRun as ToolRun
from trunkline.tool_loop import arun_tools as arun_tools
from trunkline.tool_loop import run_tools as run_tools
from trunkline.tools import function_tool as function_tool
from trunkline.types import Attempt as Attempt
from trunkline.types import Choice as Choice
from trunkline.types import Chunk as Chunk
from trunkline.types import ChunkChoice as ChunkChoice
from trunkline.types import Completion as Completion
from trunkline.types import Delta as Delta
from trunkline.types import Message as Message
from trunkline.types import Receipt as Receipt
from trunkline.types import Timeouts as Timeouts
from trunkline.types import TokenCount as TokenCount
from trunkline.types import ToolCall as ToolCall
from trunkline.types import Usage as Usage
from trunkline.types.anthropic import AnthropicMessage as AnthropicMessage
from trunkline.types.anthropic import MessageEvent as MessageEvent
from trunkline.types.cost import Cost as Cost
from trunkline.types.cost import Estimate as Estimate
from trunkline.types.job import Job as Job
from trunkline.types.job import JobProgress as JobProgress
from trunkline.types.job import parse_job as parse_job
from trunkline.types.media import Blob as Blob
from trunkline.types.media import Media as Media
from trunkline.types.parameters import TaskOptions as TaskOptions
from trunkline.types.response_events import ResponseEvent as ResponseEvent
from trunkline.types.responses import Response as Response
from trunkline.types.results import Answer as Answer
from trunkline.types.results import AudioPart as AudioPart
from trunkline.types.results import Box as Box
from trunkline.types.results import Detection as Detection
from trunkline.types.results import Embedding as Embedding
from trunkline.types.results import EmbeddingResponse as EmbeddingResponse
from trunkline.types.results import Entity as Entity
from trunkline.types.results import Filling as Filling
from trunkline.types.results import ImageResponse as ImageResponse
from trunkline.types.results import Items as Items
from trunkline.types.results import Label as Label
from trunkline.types.results import RerankResponse as RerankResponse
from trunkline.types.results import RerankResult as RerankResult
from trunkline.types.results import Segment as Segment
from trunkline.types.results import TableAnswer as TableAnswer
from trunkline.types.results import TextChoice as TextChoice
from trunkline.types.results import TextCompletion as TextCompletion
from trunkline.types.results import TextOutput as TextOutput
from trunkline.types.results import TranscriptChunk as TranscriptChunk
from trunkline.types.results import Transcription as Transcription

__all__ = [
    "APIConnectionError",
    "APIError",
    "Answer",
    "AnthropicMessage",
    "AsyncClient",
    "AsyncEventStream",
    "AsyncStream",
    "Attempt",
    "AudioPart",
    "AuthenticationError",
    "BadGatewayError",
    "BadRequestError",
    "Blob",
    "Box",
    "Catalog",
    "Choice",
    "Chunk",
    "ChunkChoice",
    "Client",
    "Completion",
    "ConfigurationError",
    "ConflictError",
    "ContentPolicyViolationError",
    "ContextWindowExceededError",
    "Cost",
    "DeadlineExceeded",
    "Delta",
    "Detection",
    "Embedding",
    "EmbeddingResponse",
    "Engine",
    "Entity",
    "Estimate",
    "EventStream",
    "Filling",
    "GatewayTimeoutError",
    "GenerationError",
    "GoneError",
    "ImageResponse",
    "InternalServerError",
    "InvalidInputError",
    "InvalidResponseError",
    "Items",
    "Job",
    "JobCancelledError",
    "JobError",
    "JobFailedError",
    "JobLostError",
    "JobModeratedError",
    "JobProgress",
    "JobUnfinishedError",
    "Label",
    "Media",
    "Message",
    "MessageEvent",
    "ModelEntry",
    "ModelLoadingError",
    "ModelNotSupportedError",
    "NotFoundError",
    "Offer",
    "OutputValidationError",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "Plan",
    "PlannedPlace",
    "Policy",
    "RateLimitError",
    "Receipt",
    "RequestTooLargeError",
    "RerankResponse",
    "RerankResult",
    "Response",
    "ResponseEvent",
    "RouteExhaustedError",
    "Segment",
    "ServiceUnavailableError",
    "Stream",
    "StreamTruncated",
    "TableAnswer",
    "TaskOptions",
    "TextChoice",
    "TextCompletion",
    "TextOutput",
    "Timeout",
    "Timeouts",
    "TokenCount",
    "ToolCall",
    "ToolRoundsExceeded",
    "ToolRun",
    "TranscriptChunk",
    "Transcription",
    "TrunklineError",
    "UnknownParameterError",
    "UnprocessableEntityError",
    "UnsupportedParamsError",
    "Usage",
    "__version__",
    "aaudio_classification",
    "aaudio_to_audio",
    "acancel_job",
    "acompletion",
    "acost",
    "adocument_question_answering",
    "aembedding",
    "aendpoint_info",
    "aestimate",
    "afill_mask",
    "aimage_classification",
    "aimage_edit",
    "aimage_generation",
    "aimage_segmentation",
    "aimage_text_to_image",
    "aimage_text_to_video",
    "aimage_to_text",
    "aimage_to_video",
    "amessages",
    "amodel_info",
    "amodels",
    "aobject_detection",
    "aplan",
    "aquestion_answering",
    "arerank",
    "aresponses",
    "aresume_job",
    "arun_tools",
    "asentence_similarity",
    "asparse_embedding",
    "aspeech",
    "asummarization",
    "asupports",
    "atable_question_answering",
    "atabular_classification",
    "atabular_regression",
    "atext_classification",
    "atext_completion",
    "atext_to_audio",
    "atext_to_video",
    "atoken_classification",
    "atranscription",
    "atranslation",
    "audio_classification",
    "audio_to_audio",
    "avisual_question_answering",
    "azero_shot_classification",
    "azero_shot_image_classification",
    "cancel_job",
    "completion",
    "cost",
    "default_async_client",
    "default_client",
    "document_question_answering",
    "embedding",
    "endpoint_info",
    "estimate",
    "fill_mask",
    "function_tool",
    "image",
    "image_classification",
    "image_edit",
    "image_generation",
    "image_segmentation",
    "image_text_to_image",
    "image_text_to_video",
    "image_to_text",
    "image_to_video",
    "install_as_litellm",
    "messages",
    "model_info",
    "models",
    "object_detection",
    "parse_job",
    "plan",
    "question_answering",
    "rerank",
    "responses",
    "resume_job",
    "run_tools",
    "sentence_similarity",
    "set_default_client",
    "sparse_embedding",
    "speech",
    "sum_costs",
    "summarization",
    "supports",
    "table_question_answering",
    "tabular_classification",
    "tabular_regression",
    "text_classification",
    "text_completion",
    "text_to_audio",
    "text_to_video",
    "token_classification",
    "transcription",
    "translation",
    "visual_question_answering",
    "zero_shot_classification",
    "zero_shot_image_classification",
]
