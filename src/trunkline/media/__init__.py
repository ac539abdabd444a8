"""Images, sounds and videos: what a caller hands in as bytes to send, what came back as a result."""

from trunkline.media.blobs import AudioInput as AudioInput
from trunkline.media.blobs import FileSource as FileSource
from trunkline.media.blobs import ImageInput as ImageInput
from trunkline.media.blobs import blob as blob
from trunkline.media.blobs import check_fetched as check_fetched
from trunkline.media.data_urls import decode_data_url as decode_data_url
from trunkline.media.image import MAX_BYTES as MAX_BYTES
from trunkline.media.image import Detail as Detail
from trunkline.media.image import ImageSource as ImageSource
from trunkline.media.image import image_part as image_part
from trunkline.media.image import image_url as image_url
from trunkline.media.image import media_type as media_type
from trunkline.media.pil import PilImage as PilImage
from trunkline.media.results import result_media as result_media
from trunkline.media.sources import Readable as Readable
from trunkline.media.wanted import LIMITS as LIMITS
from trunkline.media.wanted import MAX_AUDIO as MAX_AUDIO
from trunkline.media.wanted import MAX_IMAGE as MAX_IMAGE
from trunkline.media.wanted import MAX_VIDEO as MAX_VIDEO
from trunkline.media.wanted import Wanted as Wanted
from trunkline.media.waveform import Waveform as Waveform
