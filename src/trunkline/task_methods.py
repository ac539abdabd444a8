"""The task methods of both clients, one line each; what they take is said in `tasks/`."""

from __future__ import annotations

from trunkline.faces import async_method, method
from trunkline.tasks import audio, image, jobs, text, video


class TaskMethods:
    """Every task but chat, blocking."""

    audio_classification = method(audio.audio_classification)
    audio_to_audio = method(audio.audio_to_audio)
    cancel_job = method(jobs.cancel_job)
    document_question_answering = method(image.document_question_answering)
    embedding = method(text.embedding)
    fill_mask = method(text.fill_mask)
    image_classification = method(image.image_classification)
    image_edit = method(image.image_edit)
    image_generation = method(image.image_generation)
    image_segmentation = method(image.image_segmentation)
    image_text_to_image = method(image.image_text_to_image)
    image_text_to_video = method(video.image_text_to_video)
    image_to_text = method(image.image_to_text)
    image_to_video = method(video.image_to_video)
    object_detection = method(image.object_detection)
    question_answering = method(text.question_answering)
    rerank = method(text.rerank)
    resume_job = method(jobs.resume_job)
    sentence_similarity = method(text.sentence_similarity)
    sparse_embedding = method(text.sparse_embedding)
    speech = method(audio.speech)
    summarization = method(text.summarization)
    table_question_answering = method(text.table_question_answering)
    tabular_classification = method(text.tabular_classification)
    tabular_regression = method(text.tabular_regression)
    text_classification = method(text.text_classification)
    text_to_audio = method(audio.text_to_audio)
    text_to_video = method(video.text_to_video)
    token_classification = method(text.token_classification)
    transcription = method(audio.transcription)
    translation = method(text.translation)
    visual_question_answering = method(image.visual_question_answering)
    zero_shot_classification = method(text.zero_shot_classification)
    zero_shot_image_classification = method(image.zero_shot_image_classification)


class AsyncTaskMethods:
    """Every task but chat, awaited."""

    audio_classification = async_method(audio.audio_classification)
    audio_to_audio = async_method(audio.audio_to_audio)
    cancel_job = async_method(jobs.cancel_job)
    document_question_answering = async_method(image.document_question_answering)
    embedding = async_method(text.embedding)
    fill_mask = async_method(text.fill_mask)
    image_classification = async_method(image.image_classification)
    image_edit = async_method(image.image_edit)
    image_generation = async_method(image.image_generation)
    image_segmentation = async_method(image.image_segmentation)
    image_text_to_image = async_method(image.image_text_to_image)
    image_text_to_video = async_method(video.image_text_to_video)
    image_to_text = async_method(image.image_to_text)
    image_to_video = async_method(video.image_to_video)
    object_detection = async_method(image.object_detection)
    question_answering = async_method(text.question_answering)
    rerank = async_method(text.rerank)
    resume_job = async_method(jobs.resume_job)
    sentence_similarity = async_method(text.sentence_similarity)
    sparse_embedding = async_method(text.sparse_embedding)
    speech = async_method(audio.speech)
    summarization = async_method(text.summarization)
    table_question_answering = async_method(text.table_question_answering)
    tabular_classification = async_method(text.tabular_classification)
    tabular_regression = async_method(text.tabular_regression)
    text_classification = async_method(text.text_classification)
    text_to_audio = async_method(audio.text_to_audio)
    text_to_video = async_method(video.text_to_video)
    token_classification = async_method(text.token_classification)
    transcription = async_method(audio.transcription)
    translation = async_method(text.translation)
    visual_question_answering = async_method(image.visual_question_answering)
    zero_shot_classification = async_method(text.zero_shot_classification)
    zero_shot_image_classification = async_method(image.zero_shot_image_classification)
