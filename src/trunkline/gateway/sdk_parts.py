"""What of the gateway stands on the SDK, loaded when it is first needed: relays do without."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from trunkline.gateway.call import Call
from trunkline.gateway.configured import Configured
from trunkline.store.seam import Store

if TYPE_CHECKING:
    from trunkline.gateway.dispatch import Dispatch
    from trunkline.gateway.video_pages import VideoPages


class SdkParts:
    """Carries calls in providers' own dialects, and answers for videos."""

    def __init__(self, configured: Configured) -> None:
        """Load nothing yet."""
        self._configured = configured
        self._seal = b""
        self._videos: VideoPages | None = None

    def open(self, store: Store) -> None:
        """Take the store's seal, by which ids of videos are signed. Blocking; raises StoreError."""
        self._seal = store.seal(secrets.token_bytes(32))

    def carry(self, *call: Any) -> Call:
        """Return what carries a call, which is as Call takes it."""
        from trunkline.gateway.carriers import carry

        return carry(call, self._configured, self._seal)

    def videos(self, dispatch: Dispatch) -> VideoPages:
        """Return what answers for videos by their ids."""
        if self._videos is None:
            from trunkline.gateway.video_pages import VideoPages

            self._videos = VideoPages(dispatch, self._configured, self._seal)
        return self._videos
