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
from typing import cast

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel

from harken.data.tensors import bytes_of, read_tensors

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
        out.update(bytes_of(tensor))
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


def add_adapter(trunk: PreTrainedModel, name: str, config: AdapterConfig, seed: int, begin: str | None = None) -> None:
    """Put a new adapter on a trunk; it starts by changing nothing, or as another adapter of the same size.

    What of the trunk is trained does not change by it: see `training_only`.

    Args:
        trunk: the model.
        name: of the adapter, unique on the trunk.
        config: its size and place.
        seed: of its first matrices.
        begin: the adapter whose matrices it begins with.

    Raises:
        ValueError: if the name is taken, no layer is named as the targets say, or the other adapter has another form.
    """
    if name in adapters_of(trunk):
        raise ValueError(f"the model has an adapter {name!r} already")
    others = {id(p): p.requires_grad for p in trunk.parameters()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=_targets(trunk, config))  # type: ignore[arg-type]
        _inject(made, trunk, name)
    for parameter in trunk.parameters():
        parameter.requires_grad_(others.get(id(parameter), False))
    if begin is not None:
        _copy_adapter(trunk, begin, name)


def _copy_adapter(trunk: PreTrainedModel, old: str, new: str) -> None:
    """Give an adapter the matrices of another one.

    Raises:
        ValueError: if they differ in rank, scale or layers; the new one is taken off again.
    """
    pairs = [layer for layer in tuned_layers(trunk) if old in layer.lora_A or new in layer.lora_A]
    alike = all(
        old in layer.lora_A
        and new in layer.lora_A
        and layer.scaling[old] == layer.scaling[new]
        and layer.lora_A[old].weight.shape == layer.lora_A[new].weight.shape
        for layer in pairs
    )
    if not alike:
        was = cast(LoraConfig, trunk.peft_config[old])
        drop_adapter(trunk, new)
        raise ValueError(
            f"the model speaks through an adapter of rank {was.r} and alpha {was.lora_alpha}, and the new one, which "
            "begins as that one is, has another size or other layers: give it the same, or save the model and load it "
            "again, which adds the adapter to its weights"
        )
    with torch.no_grad():
        for layer in pairs:
            for matrices in (layer.lora_A, layer.lora_B):
                matrices[new].load_state_dict(matrices[old].state_dict())


def train_adapter(trunk: PreTrainedModel, name: str | None) -> None:
    """Of all the trunk, only this adapter is trained from now on; nothing at all if None."""
    for parameter in trunk.parameters():
        parameter.requires_grad_(False)
    for layer in tuned_layers(trunk):
        for matrices in (layer.lora_A, layer.lora_B):
            if name is not None and name in matrices:
                matrices[name].requires_grad_(True)


def drop_adapter(trunk: PreTrainedModel, name: str) -> None:
    """Take an adapter off; with the last one the trunk is as it was before the first."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Adapter .* was active which is now deleted")
        for layer in tuned_layers(trunk):
            layer.delete_adapter(name)
    del trunk.peft_config[name]
    if not adapters_of(trunk):
        merge_adapter(trunk, None)


@contextmanager
def training_only(trunk: PreTrainedModel, adapter: str | None) -> Iterator[None]:
    """Within, of all the trunk only this adapter is trained; with None, what is trained anyway."""
    before = [(parameter, parameter.requires_grad) for parameter in trunk.parameters()]
    if adapter is not None:
        train_adapter(trunk, adapter)
    try:
        yield
    finally:
        for parameter, trained in before:
            parameter.requires_grad_(trained)


def merge_adapter(trunk: PreTrainedModel, adapter: str | None) -> None:
    """Add an adapter, if any, to a trunk's weights and take all adapters off."""
    for name, layer in [(n, m) for n, m in trunk.named_modules() if isinstance(m, LoraLayer)]:
        own = layer.get_base_layer()
        if adapter is not None and adapter in layer.lora_A:
            with torch.no_grad():
                own.weight += layer.get_delta_weight(adapter).to(own.weight.dtype)  # type: ignore[attr-defined]
        trunk.set_submodule(name, own)
    if hasattr(trunk, "peft_config"):
        del trunk.peft_config


def save_adapter(trunk: PreTrainedModel, name: str, folder: Path) -> None:
    """Write an adapter as peft does: `adapter_config.json` and `adapter_model.safetensors`."""
    trunk.peft_config[name].save_pretrained(str(folder))
    state = get_peft_model_state_dict(trunk, adapter_name=name)
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, folder / WEIGHTS)


def load_adapter(trunk: PreTrainedModel, name: str, folder: Path) -> None:
    """Put an adapter that `save_adapter` or peft wrote on a trunk."""
    with torch.random.fork_rng(devices=[]):
        _inject(LoraConfig.from_pretrained(str(folder)), trunk, name)
    set_peft_model_state_dict(trunk, read_tensors(folder / WEIGHTS), adapter_name=name)


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
