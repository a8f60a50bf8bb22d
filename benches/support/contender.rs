//! Time a call in turns, so that several take part in each round.

use std::time::Instant;

/// Least seconds of a turn.
const SECONDS_PER_TURN: f64 = 0.004;

/// Something to time: a call, and the seconds it took in each round.
pub(crate) struct Contender {
    call: Box<dyn FnMut()>,
    calls_per_turn: usize,
    seconds: Vec<f64>,
}

impl Contender {
    /// Calls once, and then until a turn is long enough to time.
    pub(crate) fn new(mut call: impl FnMut() + 'static) -> Self {
        call();
        let start = Instant::now();
        let mut calls = 0;
        while calls < 3 || start.elapsed().as_secs_f64() < SECONDS_PER_TURN {
            call();
            calls += 1;
        }
        Self { call: Box::new(call), calls_per_turn: calls, seconds: Vec::new() }
    }

    /// Times one turn.
    pub(crate) fn turn(&mut self) {
        let start = Instant::now();
        for _ in 0..self.calls_per_turn {
            (self.call)();
        }
        self.seconds.push(start.elapsed().as_secs_f64() / self.calls_per_turn as f64);
    }

    /// Median seconds of a call over turns.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    /// Least seconds of a call over turns.
    pub(crate) fn best(&self) -> f64 {
        self.seconds.iter().copied().fold(f64::INFINITY, f64::min)
    }
}
