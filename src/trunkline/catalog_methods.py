"""What both clients tell of models: who serves them, for how much, and what a call cost.

The catalog is loaded when it is first asked for; no call needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trunkline.catalog import Capability, Catalog, Cost, Estimate, ModelEntry
    from trunkline.types import Messages


class CatalogMethods:
    """Questions to the catalog, blocking."""

    def catalog(self, *, offline: bool = False) -> Catalog:
        """Return the router's catalog, at most an hour old; raises nothing of the network.

        Without the network, or with `offline`, what was kept or shipped stands in and says so.
        """
        raise NotImplementedError

    def models(
        self,
        search: str | None = None,
        *,
        provider: str | None = None,
        capability: Capability | None = None,
        live: bool = True,
        limit: int | None = None,
    ) -> list[ModelEntry]:
        """List models with who serves them: price, context, speed and capabilities."""
        from trunkline import catalog  # loads prices, which no call needs; as in all of these

        return catalog.models(
            self.catalog(), search, provider=provider, capability=capability, live=live, limit=limit
        )

    def model_info(self, model: str) -> ModelEntry:
        """Return what is known of a model; raises NotFoundError, with the nearest names."""
        from trunkline import catalog

        return catalog.model_info(self.catalog(), model)

    def supports(self, model: str, capability: Capability) -> bool | None:
        """Tell whether a model takes tools, images, ...; None is unknown, nothing is guessed.

        Raises NotFoundError for a model that the catalog does not have.
        """
        from trunkline import catalog

        return catalog.supports(self.catalog(), model, capability)

    def cost(self, result: Any, *, model: str | None = None) -> Cost:
        """Return what a result cost, in US dollars; its `amount` is None where that is unknown."""
        from trunkline import catalog

        return catalog.cost(result, self.catalog(), model=model)

    def estimate(
        self,
        model: str,
        messages: Messages | str,
        *,
        max_tokens: int | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> Estimate:
        """Return what a chat would cost, before it is sent; raises NotFoundError."""
        from trunkline import catalog

        return catalog.estimate(self.catalog(), model, messages, max_tokens=max_tokens, tools=tools)


class AsyncCatalogMethods:
    """Questions to the catalog, awaited."""

    async def catalog(self, *, offline: bool = False) -> Catalog:
        """Return the router's catalog, as Client.catalog does."""
        raise NotImplementedError

    async def models(
        self,
        search: str | None = None,
        *,
        provider: str | None = None,
        capability: Capability | None = None,
        live: bool = True,
        limit: int | None = None,
    ) -> list[ModelEntry]:
        """List models with who serves them, as Client.models does."""
        from trunkline import catalog

        known = await self.catalog()
        return catalog.models(
            known, search, provider=provider, capability=capability, live=live, limit=limit
        )

    async def model_info(self, model: str) -> ModelEntry:
        """Return what is known of a model; raises NotFoundError, with the nearest names."""
        from trunkline import catalog

        return catalog.model_info(await self.catalog(), model)

    async def supports(self, model: str, capability: Capability) -> bool | None:
        """Tell whether a model takes tools, images, ...; None is unknown."""
        from trunkline import catalog

        return catalog.supports(await self.catalog(), model, capability)

    async def cost(self, result: Any, *, model: str | None = None) -> Cost:
        """Return what a result cost, as Client.cost does."""
        from trunkline import catalog

        return catalog.cost(result, await self.catalog(), model=model)

    async def estimate(
        self,
        model: str,
        messages: Messages | str,
        *,
        max_tokens: int | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> Estimate:
        """Return what a chat would cost, before it is sent; raises NotFoundError."""
        from trunkline import catalog

        known = await self.catalog()
        return catalog.estimate(known, model, messages, max_tokens=max_tokens, tools=tools)
