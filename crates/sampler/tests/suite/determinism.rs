//! Check that draws depend on the seed alone: not on threads, pools, the number of chains, or interruptions.

use crate::support::{autoregression, normal};
use ergodic_draws::{ChainSink, DrawRef, Draws, Phase, RunReport, Schema, Sink, SinkError};
use ergodic_model::{LogDensity, Posterior};
use ergodic_sampler::{
    Budget, Checkpoint, Chees, Ghmc, Hmc, Mala, Mams, Mclmc, Method, MetricShape, Nuts, Observer, Progress, Run, RunError,
    Sampler, SliceGhmc, Walnuts, Warmup, Windowed, sample,
};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Positions and statistics of one chain as bits.
pub(crate) type Bits = Vec<(Vec<u64>, Vec<u64>)>;

pub(crate) fn bits(draws: &Draws) -> Vec<Bits> {
    let of = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<u64>>();
    let chain = |chain: &ergodic_draws::ChainDraws| {
        (0..chain.len()).map(|i| (of(chain.position(i)), of(chain.statistics.row(i)))).collect::<Bits>()
    };
    draws.chains().iter().map(chain).collect()
}

pub(crate) fn target() -> impl LogDensity + Clone + Send + Sync {
    autoregression(4, 0.9)
}

pub(crate) fn run() -> Run {
    Run { chains: 3, warmup: 120, draws: 60, seed: 5, ..Run::default() }
}

#[test]
fn draws_do_not_depend_on_threads_or_pools() {
    let with = |threads| bits(&sample(&target(), &Nuts::default(), &Run { threads: Some(threads), ..run() }).unwrap());
    let alone = with(1);
    assert_eq!(alone, with(2));
    assert_eq!(alone, with(8));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let (density, run) = (target(), run());
    assert_eq!(alone, bits(&Sampler::new(&density, Nuts::default(), run).pool(&pool).run().unwrap()));
}

#[test]
fn draws_of_a_chain_do_not_depend_on_the_other_chains() {
    let many = bits(&sample(&target(), &Hmc::default(), &Run { chains: 6, ..run() }).unwrap());
    assert_eq!(many[..3], bits(&sample(&target(), &Hmc::default(), &run()).unwrap()));
    assert_ne!(many[0], many[1]);
}

#[test]
fn other_seeds_give_other_draws() {
    let with = |seed| bits(&sample(&target(), &Nuts::default(), &Run { seed, ..run() }).unwrap());
    assert_ne!(with(5), with(6));
}

/// Interrupts after so many gradients per chain, passes the checkpoint through bytes, goes on with other threads, and compares.
pub(crate) fn interrupt_and_resume<M: Method>(method: &M) {
    let density = target();
    let whole = bits(&sample(&density, method, &run()).unwrap());
    for gradients in [1, 30, 400, 700, 1000, 1200] {
        let budget = Budget { gradients_per_chain: Some(gradients), ..Budget::default() };
        let short = Run { budget, threads: Some(1), ..run() };
        let (first, checkpoint) = Sampler::new(&density, method.clone(), short).run_with_checkpoint().unwrap();
        let checkpoint = Checkpoint::from_bytes(&checkpoint.to_bytes().unwrap()).unwrap();
        assert_eq!(checkpoint.min_draws(), first.min_len());
        let rest = Run { threads: Some(3), ..run() };
        let rest = Sampler::new(&density, method.clone(), rest).resume(checkpoint).run().unwrap();
        let joined: Vec<Bits> = bits(&first).into_iter().zip(bits(&rest)).map(|(a, b)| [a, b].concat()).collect();
        assert_eq!(joined, whole, "{} interrupted after {gradients} gradients", M::NAME);
    }
}

#[test]
fn a_run_interrupted_anywhere_equals_one_that_was_not() {
    interrupt_and_resume(&Nuts::default());
    interrupt_and_resume(&Hmc::default());
    interrupt_and_resume(&Mclmc::default());
    interrupt_and_resume(&SliceGhmc::default());
    interrupt_and_resume(&Mams::default());
    interrupt_and_resume(&Ghmc::default());
    interrupt_and_resume(&Mala::default());
    interrupt_and_resume(&Chees::default());
    interrupt_and_resume(&Walnuts::default());
    for metric in [MetricShape::Unit, MetricShape::Dense] {
        let adaptation = Warmup::Windowed(Windowed { metric, ..Windowed::default() });
        interrupt_and_resume(&Nuts { adaptation, ..Nuts::default() });
    }
}

#[test]
fn a_finished_run_can_be_extended_through_a_file() {
    let density = target();
    let long = Run { draws: 100, ..run() };
    let whole = bits(&sample(&density, &Nuts::default(), &long).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("run.checkpoint");
    let (first, checkpoint) = Sampler::new(&density, Nuts::default(), run()).run_with_checkpoint().unwrap();
    checkpoint.save(&path).unwrap();
    checkpoint.save(&path).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no partial file is left behind");
    let rest = Sampler::new(&density, Nuts::default(), long).resume(Checkpoint::load(&path).unwrap()).run().unwrap();
    let joined: Vec<Bits> = bits(&first).into_iter().zip(bits(&rest)).map(|(a, b)| [a, b].concat()).collect();
    assert_eq!(joined, whole);
    let gradients = sample(&density, &Nuts::default(), &long).unwrap().report.gradients();
    assert_eq!(rest.report.gradients(), gradients, "the report counts from the chain's beginning");
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let density = target();
    let (_, checkpoint) = Sampler::new(&density, Nuts::default(), run()).run_with_checkpoint().unwrap();
    let refuse = |result: Result<Draws, RunError>, difference: &str| {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(difference), "{message}");
    };
    let resumed = || checkpoint.clone();
    let nuts = Nuts::default;
    refuse(Sampler::new(&normal(&[1.0; 3]), nuts(), run()).resume(resumed()).run(), "number of coordinates is 4");
    refuse(Sampler::new(&density, Hmc::default(), run()).resume(resumed()).run(), "method is nuts");
    let other = Nuts { target_acceptance: 0.9, ..Nuts::default() };
    refuse(Sampler::new(&density, other, run()).resume(resumed()).run(), "settings");
    let other = Run { seed: 6, ..run() };
    refuse(Sampler::new(&density, nuts(), other).resume(resumed()).run(), "seed is 5");
}

/// Counts transitions and sets the stop flag at one of them.
struct StopAt {
    transition: usize,
    seen: AtomicUsize,
    stop: AtomicBool,
}

impl Observer for StopAt {
    fn progress(&self, progress: &Progress) {
        assert!(progress.iteration <= progress.total && progress.gradients > 0);
        if self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.transition {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_run_stopped_by_its_flag_goes_on() {
    let density = target();
    let whole = bits(&sample(&density, &Nuts::default(), &run()).unwrap());
    let observer = StopAt { transition: 250, seen: AtomicUsize::new(0), stop: AtomicBool::new(false) };
    let one = Run { threads: Some(1), ..run() };
    let sampler = Sampler::new(&density, Nuts::default(), one).observer(&observer).stop(&observer.stop);
    let (first, checkpoint) = sampler.run_with_checkpoint().unwrap();
    let lengths: Vec<usize> = first.chains().iter().map(ergodic_draws::ChainDraws::len).collect();
    assert_eq!(lengths, [60, 0, 0], "the second chain is stopped in warm-up, the third is not begun");
    assert!(first.report.warnings.iter().any(|warning| warning.contains("stopped on request")));
    let rest = Sampler::new(&density, Nuts::default(), run()).resume(checkpoint).run().unwrap();
    let joined: Vec<Bits> = bits(&first).into_iter().zip(bits(&rest)).map(|(a, b)| [a, b].concat()).collect();
    assert_eq!(joined, whole);
}

/// Number and position of each draw of a chain, as bits.
type Kept = Vec<(usize, Vec<u64>)>;

/// Keeps draws of the sampling phase, and fails once at a given one.
struct Fragile {
    fail_at: Option<(usize, usize)>,
    kept: Mutex<Vec<Kept>>,
    finished: AtomicUsize,
}

impl Fragile {
    fn new(fail_at: Option<(usize, usize)>) -> Self {
        Self { fail_at, kept: Mutex::new(vec![Vec::new(); 3]), finished: AtomicUsize::new(0) }
    }
}

impl Sink for Fragile {
    fn begin(&self, schema: &Schema) -> Result<(), SinkError> {
        assert_eq!((schema.chains, schema.warmup, schema.columns[0].name.as_str()), (3, 120, "lp"));
        Ok(())
    }

    fn open_chain(&self, chain: usize) -> Result<Box<dyn ChainSink + '_>, SinkError> {
        Ok(Box::new(FragileChain { sink: self, chain }))
    }

    fn finish(&self, report: &RunReport) -> Result<(), SinkError> {
        assert_eq!(report.chains.len(), 3);
        self.finished.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

struct FragileChain<'a> {
    sink: &'a Fragile,
    chain: usize,
}

impl ChainSink for FragileChain<'_> {
    fn record(&mut self, draw: &DrawRef<'_>) -> Result<(), SinkError> {
        if draw.phase == Phase::Sampling {
            if self.sink.fail_at == Some((self.chain, draw.index)) {
                return Err(SinkError::AlreadyExists(PathBuf::from("the disk is full")));
            }
            let bits = draw.position.iter().map(|x| x.to_bits()).collect();
            self.sink.kept.lock().unwrap()[self.chain].push((draw.index, bits));
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

#[test]
fn a_failing_sink_stops_its_chain_only_and_the_draw_is_not_lost() {
    let density = target();
    let sink = Fragile::new(None);
    Sampler::new(&density, Nuts::default(), run()).sink(&sink).run_into_sink().unwrap();
    let whole = sink.kept.into_inner().unwrap();
    assert_eq!(whole[1].iter().map(|draw| draw.0).collect::<Vec<_>>(), (0..60).collect::<Vec<_>>());

    let sink = Fragile::new(Some((1, 17)));
    let sampler = Sampler::new(&density, Nuts::default(), run()).sink(&sink);
    let (report, checkpoint) = sampler.run_into_sink().unwrap();
    assert_eq!(sink.finished.load(Ordering::Relaxed), 1);
    assert!(report.warnings.iter().any(|warning| warning.starts_with("chain 1 failed after 17 draws")), "{report:?}");
    assert!(report.chains[0].outcome.is_completed() && report.chains[2].outcome.is_completed());
    let mut kept = sink.kept.into_inner().unwrap();
    assert_eq!(kept[1].len(), 17);

    let rest = Fragile::new(None);
    Sampler::new(&density, Nuts::default(), run()).sink(&rest).resume(checkpoint).run_into_sink().unwrap();
    for (kept, rest) in kept.iter_mut().zip(rest.kept.into_inner().unwrap()) {
        kept.extend(rest);
    }
    assert_eq!(kept, whole);
}

#[test]
fn statistics_of_warm_up_are_kept_on_request() {
    let density = target();
    assert_eq!(density.layout().dim(), 4);
    let draws = sample(&density, &Nuts::default(), &run()).unwrap();
    assert!(draws.chains()[0].warmup_statistics.is_empty());
    let draws = sample(&density, &Nuts::default(), &Run { keep_warmup_statistics: true, ..run() }).unwrap();
    assert_eq!(draws.chains()[0].warmup_statistics.len(), 120);
}
