"""The networks as the Advice page offers them: which come first, which one is recommended."""

from dataclasses import dataclass

from transfer import catalog, weights
from transfer.catalog import BackboneSpec

# From small and fast to large and accurate: one of each kind, for those who do not want to search.
# The first named are shown first of all.
_FEATURED = (
    "MobileNetV2",
    "EfficientNetV2B0",
    "MobileNetV2:0.35",
    "ConvNeXtTiny",
    "EfficientNetV2S",
)
_CARDS = 6  # whole rows, of three and of two


@dataclass(frozen=True)
class Offer:
    """One network; `here` says whether its weights are on this machine."""

    spec: BackboneSpec
    here: bool
    recommended: bool

    @property
    def title(self) -> str:
        """How the page calls it."""
        return "Built-in" if self.spec.name == catalog.BUILTIN else self.spec.name

    @property
    def weight_words(self) -> str:
        """Whether its weights are here, and what it takes if not."""
        if self.here:
            return "on this machine"
        return f"download of {self.spec.weight_megabytes:.0f} MB at the start"


def recommended() -> BackboneSpec:
    """Return the network to start with: the default where its weights are here."""
    spec = catalog.backbone(catalog.DEFAULT_BACKBONE)
    here = weights.status(spec) == "present"
    return spec if here else catalog.backbone(catalog.BUILTIN)


def offers() -> list[Offer]:
    """Return all networks, the smallest first."""
    best = recommended().name
    found = [
        Offer(spec, weights.status(spec) == "present", spec.name == best)
        for spec in map(catalog.backbone, catalog.names())
    ]
    return sorted(found, key=lambda offer: offer.spec.parameters)


def first_choice(every: list[Offer], chosen: str) -> list[Offer]:
    """Return the six to show at once: the recommended and the chosen one, and some of each kind."""
    best = [offer.spec.name for offer in every if offer.recommended]
    ranked = dict.fromkeys([*best, chosen, catalog.BUILTIN, *_FEATURED])
    names = list(ranked)[:_CARDS]
    return [offer for offer in every if offer.spec.name in names]
