//! Make autoregressive chains from a fixed formula, the same on every machine.

/// Knuth's linear congruential generator, its upper 53 bits as a number below 1.
pub(crate) struct Uniform(pub(crate) u64);

impl Uniform {
    /// The next number.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// A centred bell-shaped number of variance 1/4.
    pub(crate) fn bell(&mut self) -> f64 {
        self.next() + self.next() + self.next() - 1.5
    }

    /// A first-order autoregressive series that has forgotten its start.
    pub(crate) fn series(&mut self, draws: usize, rho: f64) -> Vec<f64> {
        let mut x = 0.0;
        let mut step = || {
            x = rho * x + self.bell();
            x
        };
        (0..100).for_each(|_| {
            step();
        });
        (0..draws).map(|_| step()).collect()
    }
}
