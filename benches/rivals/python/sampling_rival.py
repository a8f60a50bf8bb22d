"""Sample the posterior of dense tanh networks with NumPyro's or nutpie's NUTS or BlackJAX's MCLMC, in the precision they are fastest in.

`python sampling_rival.py numpyro|nutpie|blackjax` reads a JSON object a line and answers each with one:

- {"layers": [[inputs, outputs], ...], "rows": n, "classes": false, "noise": 0.3, "file": path, "precision": "f32", "test": path,
  "test_rows": m, "warmup": w, "draws": d, "chains": c, "seed": s, "out": path} samples the posterior of `rival.py`'s file. The test file
  holds f64: inputs, targets. The answer holds "seconds" of processor time, compilation apart, and "gradients", both of all chains,
  warm-up included. The file "out" then holds f32: chain by chain and draw by draw, the function at each test point, or the probability of
  the class that was observed there.

NumPyro and nutpie make `warmup` and `draws` iterations, nutpie with gradients by JAX in f32; BlackJAX tunes itself in the iterations its own tuning takes of a run of `draws`
iterations of 10 integrator steps, of which it stores the last.

An answer with "error" says what failed.
"""

import json
import os
import sys
import time

# First of all: it keeps every library to one core.
import rival

import numpy as np

# Integrator steps of MCLMC from one stored draw to the next.
STEPS_PER_DRAW = 10


def jax_and_density(task):
    """JAX, the log density of a position, the function at the test points, and the first positions."""
    import jax
    import jax.numpy as jnp

    dtype = np.float64 if task["precision"] == "f64" else np.float32
    jax.config.update("jax_enable_x64", task["precision"] == "f64")
    x, y, position, scales = rival.load(task, False)
    inputs = x.shape[1]
    test = np.fromfile(task["test"], dtype=np.float64)
    test_x = jnp.asarray(test[: task["test_rows"] * inputs].reshape(-1, inputs), dtype)
    test_y = jnp.asarray(test[task["test_rows"] * inputs :].astype(np.int64))
    x, scales = jnp.asarray(x, dtype), jnp.asarray(scales, dtype)
    y = jnp.asarray(y) if task["classes"] else jnp.asarray(y, dtype)

    def outputs(position, x):
        return rival.network(position, x, task["layers"], jnp.tanh, False)

    def log_density(position):
        found = outputs(position, x)
        if task["classes"]:
            log_likelihood = jnp.sum(jnp.take_along_axis(jax.nn.log_softmax(found), y[:, None], axis=1))
        else:
            z = (y - found[:, 0]) / task["noise"]
            log_likelihood = -0.5 * jnp.sum(z * z)
        return log_likelihood - 0.5 * jnp.sum((position / scales) ** 2)

    def function(position):
        found = outputs(position, test_x)
        if task["classes"]:
            return jnp.take_along_axis(jax.nn.softmax(found), test_y[:, None], axis=1)[:, 0]
        return found[:, 0]

    generator = np.random.default_rng(task["seed"])
    starts = jnp.asarray(0.1 * generator.standard_normal((task["chains"], len(position))), dtype)
    return jax, log_density, function, starts


def numpyro(task):
    """NUTS with NumPyro's defaults; the first run compiles, the second is timed."""
    jax, log_density, function, starts = jax_and_density(task)
    from numpyro.infer import MCMC, NUTS

    kernel = NUTS(potential_fn=lambda position: -log_density(position))
    chain = MCMC(kernel, num_warmup=task["warmup"], num_samples=task["draws"], progress_bar=False)
    functions = jax.jit(jax.vmap(function))
    gradients, series = 0, []

    def run(start, seed, keep):
        nonlocal gradients
        chain.warmup(jax.random.PRNGKey(seed), init_params=start, extra_fields=("num_steps",), collect_warmup=True)
        warm = int(np.sum(chain.get_extra_fields()["num_steps"]))
        chain.run(chain.post_warmup_state.rng_key, extra_fields=("num_steps",))
        if keep:
            gradients += warm + int(np.sum(chain.get_extra_fields()["num_steps"]))
        return jax.block_until_ready(chain.get_samples())

    run(starts[0], task["seed"] + 1000, False)
    begin = time.process_time()
    draws = [run(start, task["seed"] + number, True) for number, start in enumerate(starts)]
    seconds = time.process_time() - begin
    series = [np.asarray(functions(samples), dtype=np.float32) for samples in draws]
    return seconds, gradients, series


def nutpie(task):
    """NUTS with nutpie's defaults: positions in f64, gradients by JAX; the first run compiles, the second is timed."""
    jax, log_density, function, starts = jax_and_density(task)
    import nutpie as library
    from nutpie.compiled_pyfunc import from_pyfunc

    gradient = jax.jit(jax.value_and_grad(log_density))
    dtype, dim = starts.dtype, starts.shape[1]

    def evaluate(position):
        value, slope = gradient(position.astype(dtype))
        return float(value), np.asarray(slope, dtype=np.float64)

    def run(start, seed, iterations):
        model = from_pyfunc(
            dim,
            lambda: evaluate,
            lambda *_: lambda position: {"position": position.astype(dtype)},
            [np.dtype(dtype)],
            [(dim,)],
            ["position"],
            make_initial_point_fn=lambda _: np.asarray(start, dtype=np.float64),
        )
        options = {"chains": 1, "cores": 1, "seed": seed, "progress_bar": False, "save_warmup": True}
        return library.sample(model, tune=iterations[0], draws=iterations[1], **options)

    run(starts[0], task["seed"] + 1000, (10, 10))
    begin = time.process_time()
    runs = [run(start, task["seed"] + number, (task["warmup"], task["draws"])) for number, start in enumerate(starts)]
    seconds = time.process_time() - begin
    steps = [int(group["n_steps"].sum()) for found in runs for group in (found["warmup_sample_stats"], found["sample_stats"])]
    functions = jax.jit(jax.vmap(function))
    draws = [np.asarray(found["posterior"]["position"], dtype)[0] for found in runs]
    return seconds, sum(steps), [np.asarray(functions(samples), dtype=np.float32) for samples in draws]


def blackjax(task):
    """MCLMC with BlackJAX's defaults: McLachlan's integrator, its own tuning of length, step and scales."""
    jax, log_density, function, starts = jax_and_density(task)
    import blackjax as library

    kernel = library.mcmc.mclmc.build_kernel()
    total = task["draws"] * STEPS_PER_DRAW

    @jax.jit
    def tune(start, key):
        begin, search = jax.random.split(key)
        state = library.mcmc.mclmc.init(start, log_density, begin)
        state, found, _ = library.mclmc_find_L_and_step_size(kernel, total, state, search, log_density)
        return state, found

    @jax.jit
    def sample(state, found, key):
        def step(state, key):
            state, _ = kernel(key, state, log_density, found.inverse_mass_matrix, found.L, found.step_size)
            return state, None

        def draw(state, key):
            state, _ = jax.lax.scan(step, state, jax.random.split(key, STEPS_PER_DRAW))
            return state, state.position

        return jax.lax.scan(draw, state, jax.random.split(key, task["draws"]))[1]

    def run(start, seed):
        keys = jax.random.split(jax.random.PRNGKey(seed))
        state, found = tune(start, keys[0])
        return jax.block_until_ready(sample(state, found, keys[1]))

    # Two gradients a step; a tenth of the steps for each of the three phases of tuning, and a third of one more after the scales are set.
    gradients = 2 * len(starts) * (total + round(total * (0.1 + 0.1 + 0.1 / 3 + 0.1)))
    run(starts[0], task["seed"] + 1000)
    begin = time.process_time()
    draws = [run(start, task["seed"] + number) for number, start in enumerate(starts)]
    seconds = time.process_time() - begin
    functions = jax.jit(jax.vmap(function))
    return seconds, gradients, [np.asarray(functions(samples), dtype=np.float32) for samples in draws]


def main():
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sampler = {"numpyro": numpyro, "nutpie": nutpie, "blackjax": blackjax}[sys.argv[1]]
    for line in sys.stdin:
        task = json.loads(line)
        try:
            seconds, gradients, series = sampler(task)
            np.stack(series).astype("<f4").tofile(task["out"])
            answer = {"seconds": seconds, "gradients": gradients}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


main()
