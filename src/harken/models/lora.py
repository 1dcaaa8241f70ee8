"""Low-rank adapters (2106.09685), by peft: several roles on one copy of the weights.

The policy speaks through its adapter, the reference through none, a reward model through its own. peft's own switches
also decide what is trained; here a role only speaks, and who trains says so once.
"""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class AdapterConfig:
    """A low-rank adapter.

    Attributes:
        rank: of each update.
        alpha: updates are scaled by alpha / rank.
        targets: names of the linear layers that get one, as their last part (`q_proj`); empty for all of the decoder's.
    """

    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0:
            raise ValueError(f"an adapter needs rank >= 1 and alpha > 0, not {self}")


def tuned_layers(trunk: PreTrainedModel) -> list[LoraLayer]:
    """The layers that have adapters."""
    return [module for module in trunk.modules() if isinstance(module, LoraLayer)]


def adapters_of(trunk: PreTrainedModel) -> set[str]:
    """Names of the adapters on a trunk."""
    return {name for layer in tuned_layers(trunk) for name in layer.lora_A}


def free_name(trunk: PreTrainedModel, role: str) -> str:
    """A name for one more adapter of a role."""
    taken = adapters_of(trunk)
    return next(name for n in range(len(taken) + 1) if (name := f"{role}{n or ''}") not in taken)


def weights_hash(trunk: PreTrainedModel) -> str:
    """SHA-256 of a trunk's own weights, whatever adapters it has."""
    out = hashlib.sha256()
    own = {n.replace(".base_layer.", "."): t for n, t in trunk.named_parameters() if ".lora_" not in n}
    for name, tensor in sorted(own.items()):
        out.update(name.encode())
        out.update(tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().data)
    return out.hexdigest()[:32]


@contextmanager
def speaking_as(trunk: PreTrainedModel, adapter: str | None) -> Iterator[None]:
    """Within, the trunk speaks through one adapter, or through none."""
    layers = tuned_layers(trunk)
    before = [(layer._active_adapter, layer._disable_adapters) for layer in layers]
    # peft's public switches would also flip `requires_grad`; a reference must not stop the policy's training.
    for layer in layers:
        layer._active_adapter, layer._disable_adapters = [adapter] if adapter else [], adapter is None
    try:
        yield
    finally:
        for layer, (active, disabled) in zip(layers, before, strict=True):
            layer._active_adapter, layer._disable_adapters = active, disabled


def _inject(config: LoraConfig, trunk: PreTrainedModel, name: str) -> None:
    with warnings.catch_warnings():
        # Several adapters on one trunk are what harken means.
        warnings.filterwarnings("ignore", "Already found a `peft_config` attribute")
        inject_adapter_in_model(config, trunk, name)


def _targets(trunk: PreTrainedModel, config: AdapterConfig) -> list[str]:
    decoder = trunk.get_decoder()
    head = trunk.get_output_embeddings()
    names = []
    for name, module in trunk.named_modules():
        if not isinstance(module, nn.Linear | LoraLayer) or module is head or name.endswith(".base_layer"):
            continue
        inside = any(module is part for part in decoder.modules())
        wanted = name.rsplit(".", 1)[-1] in config.targets if config.targets else inside
        if wanted and not any(part in name for part in (".lora_A.", ".lora_B.")):
            names.append(name)
    if not names:
        layers = [n for n, m in trunk.named_modules() if isinstance(m, nn.Linear | LoraLayer)]
        known = sorted({n.rsplit(".", 1)[-1] for n in layers if ".lora_" not in n and not n.endswith(".base_layer")})
        raise ValueError(f"no linear layer is named {' or '.join(config.targets)}; the model has {', '.join(known)}")
    return names


def add_adapter(trunk: PreTrainedModel, name: str, config: AdapterConfig, seed: int) -> None:
    """Put a new adapter on a trunk, whose own weights are frozen from then on; it starts by changing nothing.

    Args:
        trunk: the model.
        name: of the adapter, unique on the trunk.
        config: its size and place.
        seed: of its first matrices.

    Raises:
        ValueError: if the name is taken, or no layer is named as the targets say.
    """
    if name in adapters_of(trunk):
        raise ValueError(f"the model has an adapter {name!r} already")
    others = {id(p): p.requires_grad for p in trunk.parameters()} if tuned_layers(trunk) else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=_targets(trunk, config))  # type: ignore[arg-type]
        _inject(made, trunk, name)
    for parameter in trunk.parameters():  # those of adapters that were there before stay as they were
        parameter.requires_grad_(others.get(id(parameter), parameter.requires_grad))


def train_adapter(trunk: PreTrainedModel, name: str | None) -> None:
    """Of all the trunk, only this adapter is trained; nothing at all if None."""
    for parameter in trunk.parameters():
        parameter.requires_grad_(False)
    for layer in tuned_layers(trunk):
        for matrices in (layer.lora_A, layer.lora_B):
            if name is not None and name in matrices:
                matrices[name].requires_grad_(True)


def save_adapter(trunk: PreTrainedModel, name: str, folder: Path) -> None:
    """Write an adapter as peft does: `adapter_config.json` and `adapter_model.safetensors`."""
    trunk.peft_config[name].save_pretrained(str(folder))
    state = get_peft_model_state_dict(trunk, adapter_name=name)
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, folder / WEIGHTS)


def load_adapter(trunk: PreTrainedModel, name: str, folder: Path) -> None:
    """Put an adapter that `save_adapter` or peft wrote on a trunk."""
    with torch.random.fork_rng(devices=[]):
        _inject(LoraConfig.from_pretrained(str(folder)), trunk, name)
    set_peft_model_state_dict(trunk, load_file(folder / WEIGHTS), adapter_name=name)


def save_merged(trunk: PreTrainedModel, adapter: str | None, folder: Path) -> None:
    """Write a Hugging Face folder of the trunk with an adapter, if any, added to its weights; it needs no peft."""
    layers = {name: module for name, module in trunk.named_modules() if isinstance(module, LoraLayer)}
    if not layers:
        trunk.save_pretrained(folder)
        return
    state = {
        name.replace(".base_layer.", "."): tensor for name, tensor in trunk.state_dict().items() if ".lora_" not in name
    }
    for name, layer in layers.items():
        if adapter is not None and adapter in layer.lora_A:
            weight, delta = state[f"{name}.weight"], layer.get_delta_weight(adapter)  # type: ignore[attr-defined]
            state[f"{name}.weight"] = (weight + delta.to(weight.dtype)).detach()
    trunk.save_pretrained(folder, state_dict=state)
