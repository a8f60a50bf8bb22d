//! Begin a chain and make its transitions: the state that alone decides what follows.

use crate::chain::Shared;
use crate::initial::initial_state;
use crate::{Adaptation, ChainError, Info, Kernel, Method};
use ergodic_draws::Phase;
use ergodic_model::{ChainRng, LogDensity, Posterior, Purpose, stream};
use serde::{Deserialize, Serialize};

/// All that a chain needs for its next transition.
#[derive(Serialize, Deserialize)]
#[serde(bound(serialize = "K: Kernel, A: Adaptation<K>", deserialize = "K: Kernel, A: Adaptation<K>"))]
pub(crate) struct Living<K: Kernel, A> {
    pub kernel: K,
    pub adaptation: A,
    pub state: K::State,
    pub rng: ChainRng,
    /// Statistics of the last transition.
    pub row: Vec<f64>,
    /// Whether the last transition still has to be recorded, because the sink failed.
    pub pending: bool,
    /// Whether the kernel's parameters are fixed for sampling.
    pub finalized: bool,
}

pub(crate) type LivingOf<M> = Living<<M as Method>::Kernel, <M as Method>::Adaptation>;

impl<K: Kernel, A: Adaptation<K>> Living<K, A> {
    /// One transition, and what adaptation learns from it.
    pub(crate) fn transition(
        &mut self,
        density: &mut dyn LogDensity,
        phase: Phase,
        iteration: usize,
    ) -> Result<K::Info, ChainError> {
        let Self { kernel, adaptation, state, rng, .. } = self;
        if phase == Phase::Sampling && !std::mem::replace(&mut self.finalized, true) {
            adaptation.finalize(kernel);
        }
        let info = kernel.step(density, state, rng)?;
        if phase == Phase::Warmup {
            adaptation.update(kernel, density, state, &info, iteration, rng)?;
        }
        Ok(info)
    }
}

/// Finds an initial position, builds the kernel, and lets its adaptation choose first parameters.
pub(crate) fn begin<P: Posterior + ?Sized, M: Method>(
    shared: &Shared<'_, P, M>,
    chain: usize,
    density: &mut dyn LogDensity,
) -> Result<LivingOf<M>, ChainError> {
    let (mut kernel, mut adaptation) = shared.build();
    let given = shared.initial_positions.map(|positions| positions[chain].as_slice());
    let mut initialise = stream(shared.run.seed, chain, Purpose::Initialise);
    let mut state = initial_state(&mut kernel, density, shared.posterior, shared.layout, given, &mut initialise)?;
    let mut rng = stream(shared.run.seed, chain, Purpose::Kernel);
    adaptation.init(&mut kernel, density, &mut state, &mut rng)?;
    let row = vec![0.0; <<M::Kernel as Kernel>::Info as Info>::FIELDS.len()];
    Ok(Living { kernel, adaptation, state, rng, row, pending: false, finalized: false })
}
