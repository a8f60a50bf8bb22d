"""Make two_layers.safetensors: a network 2-3-1 as PyTorch's nn.Sequential names and shapes it (safetensors 0.8, numpy 2.4)."""
import numpy as np
from safetensors.numpy import save_file
count = lambda *shape: (np.arange(np.prod(shape)) / 8 - 0.5).reshape(shape)
save_file(
    {
        "0.weight": count(3, 2).astype(np.float32),
        "0.bias": count(3).astype(np.float16),
        "2.weight": count(1, 3).astype(np.float64),
        "2.bias": count(1).astype(np.float32),
    },
    "two_layers.safetensors",
    metadata={"format": "pt"},
)
