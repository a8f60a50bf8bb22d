//! Make series for tests: independent and autocorrelated draws with fixed seeds.

/// A small generator (SplitMix64), enough for pictures and for tests of them.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A stationary chain `x ← φ x + √(1 − φ²) z` with standard normal marginals.
    pub(crate) fn autoregressive(&mut self, draws: usize, phi: f64) -> Vec<f64> {
        let mut x = self.normal();
        (0..draws)
            .map(|_| {
                x = phi * x + (1.0 - phi * phi).sqrt() * self.normal();
                x
            })
            .collect()
    }

    /// `chains` such chains.
    pub(crate) fn chains(&mut self, chains: usize, draws: usize, phi: f64) -> Vec<Vec<f64>> {
        (0..chains).map(|_| self.autoregressive(draws, phi)).collect()
    }
}
