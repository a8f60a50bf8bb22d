//! Hold what all plots share: colours, sizes, fonts, ticks and the way numbers are written.

use super::PlotError;
use plotters::style::{FontStyle, RGBColor, register_font};
use std::sync::OnceLock;

/// Font family of all text: what an SVG names, and what the bitmap draws with the font that ships.
pub const FONT_FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

/// Text and lines.
pub const INK: RGBColor = RGBColor(34, 34, 34);
/// Tick labels, notes, spines.
pub const SOFT_INK: RGBColor = RGBColor(90, 90, 90);
/// Grid lines.
pub const GRID: RGBColor = RGBColor(226, 226, 226);
/// Bands of expected variation.
pub const REFERENCE: RGBColor = RGBColor(150, 150, 150);
/// Caveats and values that contradict the expectation (Okabe–Ito vermillion).
pub const WARNING: RGBColor = RGBColor(213, 94, 0);
/// Okabe–Ito blue, the colour of a single series.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);

/// Size of text in units (pixels of an SVG at its natural size).
pub const TITLE_SIZE: f64 = 13.0;
/// Size of axis labels.
pub const LABEL_SIZE: f64 = 11.5;
/// Size of tick labels, legends and notes.
pub const SMALL_SIZE: f64 = 10.5;
/// White space around a picture.
pub const MARGIN: f64 = 14.0;

/// The colour-blind-safe palette of Okabe and Ito (2008) without yellow and vermillion: yellow is too light for lines on white,
/// vermillion is kept for warnings.
const SERIES: [RGBColor; 6] = [
    BLUE,
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(110, 110, 110),
];

/// Colour of the series (chain, method) number `index`; colours repeat after six.
///
/// ```
/// use ergodic_diagnostics::plots::style::series_color;
/// assert_eq!(series_color(1), series_color(7));
/// assert_ne!(series_color(0), series_color(1));
/// ```
#[must_use]
pub fn series_color(index: usize) -> RGBColor {
    SERIES[index % SERIES.len()]
}

/// Registers the font that ships, once per process; plotters looks fonts up by name.
pub(super) fn register_fonts() -> Result<(), PlotError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = *REGISTERED.get_or_init(|| {
        register_font(FONT_FAMILY, FontStyle::Normal, dejavu::sans::regular()).is_ok()
            && register_font(FONT_FAMILY, FontStyle::Bold, dejavu::sans::bold()).is_ok()
    });
    if registered { Ok(()) } else { Err(PlotError::Backend("the font DejaVu Sans is not readable".to_owned())) }
}

/// About `count` round numbers (steps of 1, 2 or 5 times a power of ten) within `[low, high]`, two at least.
///
/// Empty unless `low < high`, both are finite, and numbers of double precision between them differ enough to be told apart.
///
/// ```
/// use ergodic_diagnostics::plots::style::ticks;
/// assert_eq!(ticks(-0.3, 1.1, 4), vec![0.0, 0.5, 1.0]);
/// ```
#[must_use]
pub fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let span = high - low;
    if !(span > 0.0 && span.is_finite()) {
        return Vec::new();
    }
    let raw = span / count.max(1) as f64;
    let power = 10f64.powf(raw.log10().floor());
    // From the step nearest to the wanted one to finer ones, until there are two ticks.
    let steps = [10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1].map(|multiple| multiple * power);
    let nearest = steps.iter().rposition(|step| *step >= 0.75 * raw).unwrap_or(0);
    for step in steps[nearest..].iter().filter(|step| step.is_normal()) {
        if !((low / step).abs() < 1e14 && (high / step).abs() < 1e14) {
            return Vec::new();
        }
        let slack = 1e-9;
        let (first, last) = ((low / step - slack).ceil(), (high / step + slack).floor());
        if last - first >= 1.0 {
            // Adding 0 turns −0 into 0, which is written without a sign.
            return (0..=(last - first) as usize).map(|i| (first + i as f64) * step + 0.0).collect();
        }
    }
    Vec::new()
}

/// Round numbers as labels, all with as many decimals as their step needs.
///
/// ```
/// use ergodic_diagnostics::plots::style::tick_labels;
/// assert_eq!(tick_labels(&[-0.5, 0.0, 0.5]), ["−0.5", "0.0", "0.5"]);
/// assert_eq!(tick_labels(&[0.0, 50_000.0, 100_000.0]), ["0", "50,000", "100,000"]);
/// assert_eq!(tick_labels(&[0.0, 2e-7]), ["0", "2×10⁻⁷"]);
/// ```
#[must_use]
pub fn tick_labels(ticks: &[f64]) -> Vec<String> {
    let largest = ticks.iter().fold(0.0_f64, |m, t| m.max(t.abs()));
    let Some(step) = ticks.windows(2).map(|w| w[1] - w[0]).reduce(f64::min) else {
        return ticks.iter().map(|&t| number(t, 12)).collect();
    };
    let step_power = (step.log10() + 1e-9).floor() as i32;
    let power = largest.log10().floor() as i32;
    // An exponent saves room where few digits follow it; far from zero the digits are what matters.
    let few_digits = power - step_power <= 2;
    if (largest >= 1e6 && few_digits) || !(1e-3..1e12).contains(&largest) {
        let decimals = (power - step_power).clamp(0, 15) as usize;
        return ticks.iter().map(|&t| scientific(t, power, decimals)).collect();
    }
    let decimals = (-step_power).clamp(0, 15) as usize;
    ticks.iter().map(|&t| group(&format!("{t:.decimals$}"))).collect()
}

/// A whole number with commas between thousands.
///
/// ```
/// assert_eq!(ergodic_diagnostics::plots::style::count(12345), "12,345");
/// ```
#[must_use]
pub fn count(value: usize) -> String {
    group(&value.to_string())
}

/// A number with at most `digits` significant digits, plainly written: no exponent between 0.001 and a million.
///
/// ```
/// use ergodic_diagnostics::plots::style::number;
/// assert_eq!(number(0.123456, 3), "0.123");
/// assert_eq!(number(0.5, 3), "0.5");
/// assert_eq!(number(-1234.5, 3), "−1,234");
/// assert_eq!(number(f64::NAN, 3), "NaN");
/// ```
#[must_use]
pub fn number(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let power = value.abs().log10().floor() as i32;
    let digits = digits.max(1) as i32;
    if !(-3..6).contains(&power) {
        return scientific(value, power, (digits - 1) as usize);
    }
    let decimals = (digits - 1 - power).max(0) as usize;
    let plain = format!("{value:.decimals$}");
    group(if plain.contains('.') { plain.trim_end_matches('0').trim_end_matches('.') } else { &plain })
}

/// `value` as `mantissa×10ᵖᵒʷᵉʳ`.
fn scientific(value: f64, power: i32, decimals: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let exponent: String = power
        .to_string()
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            '4' => '⁴',
            '5' => '⁵',
            '6' => '⁶',
            '7' => '⁷',
            '8' => '⁸',
            '9' => '⁹',
            _ => '⁰',
        })
        .collect();
    let mantissa = value / 10f64.powi(power);
    group(&format!("{mantissa:.decimals$}×10{exponent}"))
}

/// A typographic minus, and commas between thousands.
fn group(plain: &str) -> String {
    let (sign, digits) = plain.strip_prefix('-').map_or(("", plain), |rest| ("−", rest));
    let whole = digits.chars().take_while(char::is_ascii_digit).count();
    let mut out = String::from(sign);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && i < whole && (whole - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_round_and_inside() {
        for (low, high) in [(-3.2, 4.7), (0.0, 1e-9), (1e8, 1e8 + 1.0), (0.0, 249_999.0), (-8e307, 8e307), (5.0, 5.1)] {
            for count in 1..8 {
                let ticks = ticks(low, high, count);
                assert!(ticks.len() <= count.max(4) * 2, "{low}..{high} in {count}: {ticks:?}");
                let slack = (high - low) * 1e-6;
                assert!(ticks.len() >= 2, "{low}..{high} in {count}: {ticks:?}");
                assert!(ticks.iter().all(|t| (low - slack..=high + slack).contains(t)), "{ticks:?}");
            }
        }
        assert!(ticks(1.0, 1.0, 5).is_empty());
        assert!(ticks(f64::NAN, 1.0, 5).is_empty());
    }

    #[test]
    fn labels_of_ticks_differ_and_are_short() {
        for (low, high) in [(-3.2, 4.7), (0.0, 1e-9), (0.0, 249_999.0), (0.0, 3e6), (1000.0, 1000.4), (0.0, 0.002)] {
            let labels = tick_labels(&ticks(low, high, 5));
            let mut unique = labels.clone();
            unique.dedup();
            assert_eq!(labels, unique);
            assert!(labels.iter().all(|l| l.chars().count() <= 9), "{labels:?}");
        }
        assert_eq!(tick_labels(&ticks(0.0, 1.0, 5)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(tick_labels(&[]), Vec::<String>::new());
        assert_eq!(tick_labels(&[0.25]), ["0.25"]);
        assert_eq!(tick_labels(&[1_234_567.001, 1_234_567.002]), ["1,234,567.001", "1,234,567.002"]);
        assert_eq!(tick_labels(&[0.0, 1e7, 2e7]), ["0", "1×10⁷", "2×10⁷"]);
    }

    #[test]
    fn fonts_register_more_than_once() {
        assert_eq!(register_fonts(), Ok(()));
        assert_eq!(register_fonts(), Ok(()));
    }
}
