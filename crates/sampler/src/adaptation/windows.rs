//! Compute Stan's warm-up schedule: a fast start, slow windows that double, a fast end.

use super::Windowed;
use std::ops::Range;

/// The iterations from which the metric is learnt, and where each of its windows ends (exclusively).
///
/// Below 20 iterations there is no window. When the buffers and one window do not fit, the start takes 15 %, the end 10 %, and one
/// window the rest. Otherwise windows double, and the last one is stretched so that no shorter one is left over. (Stan never stretches
/// the first window, and so has one of a few draws after it for a warm-up of 151 to 199; here it is stretched like any other.)
///
/// ```
/// use ergodic_sampler::{Windowed, window_ends};
/// assert_eq!(window_ends(1000, &Windowed::default()), (75..950, vec![100, 150, 250, 450, 950]));
/// ```
#[must_use]
pub fn window_ends(warmup: usize, settings: &Windowed) -> (Range<usize>, Vec<usize>) {
    if warmup < 20 {
        return (0..0, Vec::new());
    }
    let Windowed { initial_buffer, base_window, final_buffer, .. } = *settings;
    if initial_buffer.saturating_add(base_window).saturating_add(final_buffer) > warmup {
        let (start, last) = (warmup * 15 / 100, warmup * 10 / 100);
        return (start..warmup - last, vec![warmup - last]);
    }
    let stop = warmup - final_buffer;
    let (mut begin, mut width) = (initial_buffer, base_window.max(1));
    let mut ends = Vec::new();
    while begin < stop {
        // A window whose successor, twice as long, does not fit takes the rest.
        let end = if begin + 3 * width > stop { stop } else { begin + width };
        ends.push(end);
        begin = end;
        width *= 2;
    }
    (initial_buffer..stop, ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_equal_stan() {
        let ends = |warmup| window_ends(warmup, &Windowed::default());
        assert_eq!(ends(1000), (75..950, vec![100, 150, 250, 450, 950]));
        assert_eq!(ends(2000), (75..1950, vec![100, 150, 250, 450, 850, 1950]));
        assert_eq!(ends(500), (75..450, vec![100, 150, 250, 450]));
        assert_eq!(ends(200), (75..150, vec![100, 150]));
        assert_eq!(ends(150), (75..100, vec![100]));
        assert_eq!(ends(149), (22..135, vec![135]));
        assert_eq!(ends(100), (15..90, vec![90]));
        assert_eq!(ends(20), (3..18, vec![18]));
        assert_eq!(ends(19), (0..0, vec![]));
        assert_eq!(ends(0), (0..0, vec![]));
    }

    #[test]
    fn windows_cover_the_slow_phase_for_every_length() {
        let huge = Windowed { initial_buffer: usize::MAX, base_window: usize::MAX, ..Windowed::default() };
        assert_eq!(window_ends(100, &huge), (15..90, vec![90]));
        for warmup in 20..3000 {
            let (range, ends) = window_ends(warmup, &Windowed::default());
            assert!(ends.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(range.start < ends[0] && *ends.last().unwrap() == range.end && range.end <= warmup);
        }
    }
}
