"""The one-line face of every task but chat, on the default clients.

`image = image_generation(model, prompt)`; with an `a` in front, the same awaited.
"""

from __future__ import annotations

from trunkline.faces import async_function, function
from trunkline.functions import default_async_client, default_client
from trunkline.tasks import audio, image, jobs, text, video

audio_classification = function(audio.audio_classification, default_client)
audio_to_audio = function(audio.audio_to_audio, default_client)
cancel_job = function(jobs.cancel_job, default_client)
document_question_answering = function(image.document_question_answering, default_client)
embedding = function(text.embedding, default_client)
fill_mask = function(text.fill_mask, default_client)
image_classification = function(image.image_classification, default_client)
image_edit = function(image.image_edit, default_client)
image_generation = function(image.image_generation, default_client)
image_segmentation = function(image.image_segmentation, default_client)
image_text_to_image = function(image.image_text_to_image, default_client)
image_text_to_video = function(video.image_text_to_video, default_client)
image_to_text = function(image.image_to_text, default_client)
image_to_video = function(video.image_to_video, default_client)
object_detection = function(image.object_detection, default_client)
question_answering = function(text.question_answering, default_client)
rerank = function(text.rerank, default_client)
resume_job = function(jobs.resume_job, default_client)
sentence_similarity = function(text.sentence_similarity, default_client)
sparse_embedding = function(text.sparse_embedding, default_client)
speech = function(audio.speech, default_client)
summarization = function(text.summarization, default_client)
table_question_answering = function(text.table_question_answering, default_client)
tabular_classification = function(text.tabular_classification, default_client)
tabular_regression = function(text.tabular_regression, default_client)
text_classification = function(text.text_classification, default_client)
text_to_audio = function(audio.text_to_audio, default_client)
text_to_video = function(video.text_to_video, default_client)
token_classification = function(text.token_classification, default_client)
transcription = function(audio.transcription, default_client)
translation = function(text.translation, default_client)
visual_question_answering = function(image.visual_question_answering, default_client)
zero_shot_classification = function(text.zero_shot_classification, default_client)
zero_shot_image_classification = function(image.zero_shot_image_classification, default_client)

aaudio_classification = async_function(audio.audio_classification, default_async_client)
aaudio_to_audio = async_function(audio.audio_to_audio, default_async_client)
acancel_job = async_function(jobs.cancel_job, default_async_client)
adocument_question_answering = async_function(
    image.document_question_answering, default_async_client
)
aembedding = async_function(text.embedding, default_async_client)
afill_mask = async_function(text.fill_mask, default_async_client)
aimage_classification = async_function(image.image_classification, default_async_client)
aimage_edit = async_function(image.image_edit, default_async_client)
aimage_generation = async_function(image.image_generation, default_async_client)
aimage_segmentation = async_function(image.image_segmentation, default_async_client)
aimage_text_to_image = async_function(image.image_text_to_image, default_async_client)
aimage_text_to_video = async_function(video.image_text_to_video, default_async_client)
aimage_to_text = async_function(image.image_to_text, default_async_client)
aimage_to_video = async_function(video.image_to_video, default_async_client)
aobject_detection = async_function(image.object_detection, default_async_client)
aquestion_answering = async_function(text.question_answering, default_async_client)
arerank = async_function(text.rerank, default_async_client)
aresume_job = async_function(jobs.resume_job, default_async_client)
asentence_similarity = async_function(text.sentence_similarity, default_async_client)
asparse_embedding = async_function(text.sparse_embedding, default_async_client)
aspeech = async_function(audio.speech, default_async_client)
asummarization = async_function(text.summarization, default_async_client)
atable_question_answering = async_function(text.table_question_answering, default_async_client)
atabular_classification = async_function(text.tabular_classification, default_async_client)
atabular_regression = async_function(text.tabular_regression, default_async_client)
atext_classification = async_function(text.text_classification, default_async_client)
atext_to_audio = async_function(audio.text_to_audio, default_async_client)
atext_to_video = async_function(video.text_to_video, default_async_client)
atoken_classification = async_function(text.token_classification, default_async_client)
atranscription = async_function(audio.transcription, default_async_client)
atranslation = async_function(text.translation, default_async_client)
avisual_question_answering = async_function(image.visual_question_answering, default_async_client)
azero_shot_classification = async_function(text.zero_shot_classification, default_async_client)
azero_shot_image_classification = async_function(
    image.zero_shot_image_classification, default_async_client
)
