"""What a network is made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

HEADS = ("independent", "autoregressive")
POOLS = ("flatten", "mean")
ACTIVATIONS = ("tanh", "relu", "gelu", "silu")


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """The architecture of a `Policy`; with an `EnvSpec` it determines every tensor's shape.

    Args:
        backbone: a registered backbone: `"mlp"`, `"gru"`, `"lstm"`, ...
        hidden: widths of the dense layers; a recurrent backbone puts its recurrent layers after them.
        memory: width of each recurrent layer.
        layers: how many recurrent layers.
        activation: between dense layers.
        embedding: width of a token's embedding.
        pool: `"flatten"` keeps each token's place, `"mean"` averages the tokens of a field.
        projection: width of a dense layer straight after the encoder, 0 for none; with many tokens it keeps the
            backbone's first layer small.
        normalise: layer normalisation of the numbers of an observation.
        head: `"independent"` heads, or `"autoregressive"`: each sees the choices of those before it.
        context: width of an autoregressive head's running summary.
        separate_critic: the value has a backbone of its own.
    """

    backbone: str = "mlp"
    hidden: tuple[int, ...] = (64, 64)
    memory: int = 64
    layers: int = 1
    activation: str = "tanh"
    embedding: int = 16
    pool: str = "flatten"
    projection: int = 0
    normalise: bool = False
    head: str = "independent"
    context: int = 128
    separate_critic: bool = False

    def __post_init__(self):
        object.__setattr__(self, "hidden", tuple(int(width) for width in self.hidden))
        for name, allowed in (("head", HEADS), ("pool", POOLS), ("activation", ACTIVATIONS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: expected one of {', '.join(allowed)}")
        for name in ("memory", "layers", "embedding", "context"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r}: expected a whole number of at least 1")
        if self.projection < 0 or any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden={self.hidden}, projection={self.projection}: widths must be positive")

    def to_json(self) -> dict:
        return asdict(self) | {"hidden": list(self.hidden)}

    @classmethod
    def from_json(cls, described: dict) -> PolicySettings:
        """The inverse of `to_json`.

        Raises:
            ValueError: names this version does not know.
        """
        unknown = sorted(described.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"policy settings {', '.join(unknown)}: unknown to this version of the workbench")
        return cls(**described)
