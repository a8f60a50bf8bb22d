"""Time the log posterior of dense tanh networks, and its gradient, in JAX or PyTorch.

`python rival.py jax|torch|torch-compiled` reads a JSON object a line and answers each with one:

- {"layers": [[inputs, outputs], ...], "rows": n, "classes": false, "noise": 0.5, "file": path, "precision": "f64"} loads a posterior and
  evaluates it; the answer holds "log_density" and "gradient". The file holds f64: inputs, targets, position, prior scales.
- {"posterior": k, "evaluations": n} evaluates the k-th n times, each at another position; the answer holds "seconds" of processor time.

An answer with "error" says what failed.
"""

import json
import math
import os
import sys
import time

# One core: a rival's threads may not spread, and every thread pool sees one processor. Before any import that starts threads.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import numpy as np

# Each evaluation moves the position by its gradient times this, so that no compiler can evaluate once for all.
STEP = 1e-12
LOG_TWO_PI = math.log(2.0 * math.pi)


def load(task, by_feature):
    """The arrays of a task: inputs (inputs x rows if `by_feature`, else rows x inputs), targets, position, prior scales."""
    values = np.fromfile(task["file"], dtype=np.float64)
    rows, inputs = task["rows"], task["layers"][0][0]
    dim = (len(values) - rows * (inputs + 1)) // 2
    x, y, position, scales = np.split(values, np.cumsum([rows * inputs, rows, dim]))
    x = x.reshape(rows, inputs)
    return x.T.copy() if by_feature else x, y.astype(np.int64) if task["classes"] else y, position, scales


def layers(position, widths):
    """Weights (outputs x inputs) and biases of each layer: views of a flat position."""
    start = 0
    for inputs, outputs in widths:
        end = start + outputs * inputs
        yield position[start:end].reshape(outputs, inputs), position[end : end + outputs]
        start = end + outputs


def network(position, x, widths, tanh, by_feature):
    """The network's outputs, rows x outputs; x and what follows from it are features x rows if `by_feature`, else rows x features."""
    for layer, (weights, biases) in enumerate(layers(position, widths)):
        x = weights @ x + biases[:, None] if by_feature else x @ weights.T + biases
        if layer + 1 < len(widths):
            x = tanh(x)
    return x.T if by_feature else x


class Jax:
    """Compiled, with the loop over evaluations compiled too: nothing is left to Python."""

    def __init__(self):
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)
        self.jax, self.jnp = jax, jnp

    def posterior(self, task, by_feature):
        jax, jnp = self.jax, self.jnp
        dtype = jnp.float64 if task["precision"] == "f64" else jnp.float32
        x, y, position, scales = load(task, by_feature)
        data = (jnp.asarray(x, dtype), jnp.asarray(y, None if task["classes"] else dtype), jnp.asarray(scales, dtype))
        position = jnp.asarray(position, dtype)

        def log_posterior(position, data):
            x, y, scales = data
            outputs = network(position, x, task["layers"], jnp.tanh, by_feature)
            if task["classes"]:
                log_likelihood = jnp.sum(jnp.take_along_axis(jax.nn.log_softmax(outputs), y[:, None], axis=1))
            else:
                z = (y - outputs[:, 0]) / task["noise"]
                log_likelihood = -0.5 * jnp.sum(z * z) - len(y) * (math.log(task["noise"]) + 0.5 * LOG_TWO_PI)
            z = position / scales
            return log_likelihood - jnp.sum(0.5 * z * z + jnp.log(scales) + 0.5 * LOG_TWO_PI)

        value_and_gradient = jax.value_and_grad(log_posterior)

        def run(position, data, evaluations):
            def body(_, state):
                position, total = state
                value, gradient = value_and_gradient(position, data)
                return position + STEP * gradient, total + value

            return jax.lax.fori_loop(0, evaluations, body, (position, jnp.zeros((), dtype)))

        compiled = jax.jit(run)
        value, gradient = jax.jit(value_and_gradient)(position, data)
        return float(value), gradient, lambda evaluations: jax.block_until_ready(compiled(position, data, evaluations))


class Torch:
    """PyTorch with its autograd, operation by operation, or compiled."""

    def __init__(self, compiled):
        import torch

        torch.set_num_threads(1)
        torch.set_num_interop_threads(1)
        self.torch, self.compiled = torch, compiled
        if compiled:
            # Each posterior is compiled for its own shapes; past its limit, 8 by default, PyTorch would go on without compiling.
            import torch._dynamo

            torch._dynamo.config.recompile_limit = 1000

    def posterior(self, task, by_feature):
        torch = self.torch
        dtype = torch.float64 if task["precision"] == "f64" else torch.float32
        x, y, position, scales = load(task, by_feature)
        x, scales, start = (torch.tensor(values, dtype=dtype) for values in (x, scales, position))
        y = torch.tensor(y) if task["classes"] else torch.tensor(y, dtype=dtype)

        def log_posterior(position):
            outputs = network(position, x, task["layers"], torch.tanh, by_feature)
            if task["classes"]:
                log_likelihood = -torch.nn.functional.cross_entropy(outputs, y, reduction="sum")
            else:
                z = (y - outputs[:, 0]) / task["noise"]
                log_likelihood = -0.5 * torch.sum(z * z) - len(y) * (math.log(task["noise"]) + 0.5 * LOG_TWO_PI)
            z = position / scales
            return log_likelihood - torch.sum(0.5 * z * z + torch.log(scales) + 0.5 * LOG_TWO_PI)

        def by_autograd(position):
            position.requires_grad_()
            value = log_posterior(position)
            (gradient,) = torch.autograd.grad(value, position)
            return gradient, value.detach()

        evaluate = by_autograd
        if self.compiled:
            evaluate = torch.compile(torch.func.grad_and_value(log_posterior), dynamic=False)

        def run(evaluations):
            position = start.clone()
            for _ in range(evaluations):
                gradient, _ = evaluate(position)
                position = position.detach() + STEP * gradient

        gradient, value = evaluate(start.clone())
        return float(value), gradient, run


def seconds(run, evaluations):
    """Processor time of some evaluations, all threads together."""
    begin = time.process_time()
    run(evaluations)
    return time.process_time() - begin


def best(rival, task):
    """Log density, gradient and evaluation in the faster of two layouts: rows or features next to each other."""
    candidates = []
    for by_feature in (False, True):
        value, gradient, run = rival.posterior(task, by_feature)
        # The first calls compile.
        run(2)
        candidates.append((min(seconds(run, 20) for _ in range(3)), value, gradient, run))
    return min(candidates, key=lambda candidate: candidate[0])[1:]


def main():
    sys.stdout.flush()
    # Only answers may reach the driver: what libraries print goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    rival = Jax() if sys.argv[1] == "jax" else Torch(compiled=sys.argv[1] == "torch-compiled")
    posteriors = []
    for line in sys.stdin:
        task = json.loads(line)
        try:
            if "posterior" in task:
                answer = {"seconds": seconds(posteriors[task["posterior"]], task["evaluations"])}
            else:
                value, gradient, run = best(rival, task)
                posteriors.append(run)
                answer = {"log_density": value, "gradient": np.asarray(gradient, dtype=np.float64).tolist()}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
