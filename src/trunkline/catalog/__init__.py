"""What is known of models and providers, of when, and from where: prices, limits, capabilities.

Nothing here is relied on to make a call, and no call loads it.
"""

from trunkline.catalog.cache import Catalogs
from trunkline.catalog.costs import cost, estimate, sum_costs
from trunkline.catalog.entries import Catalog, ModelEntry, Offer, read_models
from trunkline.catalog.fetch import (
    LOOK_UP,
    MAX_BYTES,
    aget,
    fetch_list,
    fetch_models,
    get,
    models_url,
    router_catalog,
)
from trunkline.catalog.kept import catalog_file, read_file, shipped, write_file
from trunkline.catalog.questions import Capability, model_info, models, supports
from trunkline.providers.prices import Pricing
from trunkline.types.cost import Cost, Estimate, OfferEstimate

__all__ = [
    "LOOK_UP",
    "MAX_BYTES",
    "Capability",
    "Catalog",
    "Catalogs",
    "Cost",
    "Estimate",
    "ModelEntry",
    "Offer",
    "OfferEstimate",
    "Pricing",
    "aget",
    "catalog_file",
    "cost",
    "estimate",
    "fetch_list",
    "fetch_models",
    "get",
    "model_info",
    "models",
    "models_url",
    "read_file",
    "read_models",
    "router_catalog",
    "shipped",
    "sum_costs",
    "supports",
    "write_file",
]
