//! Numbers as text: the one rounding rule of every table and plot.

/// Four significant digits at most, without trailing zeros; an exponent for magnitudes below 0.001.
pub fn format_number(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        return format!("{value:.1e}");
    }
    let whole = value.abs().max(1.0).log10().floor() as usize + 1;
    format_trimmed(value, 4usize.saturating_sub(whole))
}

/// At most `decimals` decimals, without trailing zeros.
pub fn format_trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A rate (fraction of 1) in percent, without the sign, with `decimals` decimals; `-` for NaN, where nothing was measured.
///
/// A rate below one is never written as `100` and one above zero never as `0`: such a rate gets as many more decimals as
/// it needs.
///
/// ```
/// use bitvla_reports::format_percent;
/// assert_eq!(format_percent(0.906, 1), "90.6");
/// assert_eq!(format_percent(1.0, 1), "100.0");
/// assert_eq!(format_percent(20_406.0 / 20_407.0, 1), "99.995");
/// assert_eq!(format_percent(1.0 / 20_407.0, 0), "0.005");
/// ```
pub fn format_percent(rate: f64, decimals: usize) -> String {
    if rate.is_nan() {
        return "-".to_owned();
    }
    let percent = 100.0 * rate;
    let text = format!("{percent:.decimals$}");
    if is_misleading(percent, &text) {
        with_enough_decimals(percent)
    } else {
        text
    }
}

/// A value in `unit` as tables and plots show it: [`format_number`], where the rule of [`format_percent`] holds for
/// values in `%`; `-` for none, `NaN` for NaN.
///
/// ```
/// use bitvla_reports::format_value;
/// assert_eq!(format_value(Some(100.0 * 20_406.0 / 20_407.0), "%"), "99.995");
/// assert_eq!(format_value(Some(99.996), "mm"), "100");
/// assert_eq!(format_value(None, "%"), "-");
/// ```
pub fn format_value(value: Option<f64>, unit: &str) -> String {
    let Some(value) = value else {
        return "-".to_owned();
    };
    if value.is_nan() {
        return "NaN".to_owned();
    }
    let text = format_number(value);
    if unit == "%" && is_misleading(value, &text) {
        with_enough_decimals(value)
    } else {
        text
    }
}

/// True if `text` says 0 or 100 of a percentage that lies strictly between them.
fn is_misleading(percent: f64, text: &str) -> bool {
    let shown = text.parse::<f64>().unwrap_or(percent);
    0.0 < percent && percent < 100.0 && (shown <= 0.0 || shown >= 100.0)
}

/// The fewest decimals that tell the percentage from 0 and 100; all digits of the number where no count does.
fn with_enough_decimals(percent: f64) -> String {
    (0..=17)
        .map(|decimals| format!("{percent:.decimals$}"))
        .find(|text| !is_misleading(percent, text))
        .unwrap_or_else(|| format!("{percent:e}"))
}

/// A size in powers of ten: `3.2 MB`.
pub fn format_bytes(bytes: u64) -> String {
    let b = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", b / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", b / 1e6),
        _ => format!("{:.2} GB", b / 1e9),
    }
}

#[cfg(test)]
mod tests {
    //! Guarantee: no rate below one reads 100 and no rate above zero reads 0, whatever the number of decimals.
    use super::*;

    #[test]
    fn numbers_are_short() {
        let short: Vec<String> = [0.0, 1e-6, 0.25, 3.1459, 99.96, 12345.6, -2.5]
            .iter()
            .map(|v| format_number(*v))
            .collect();
        assert_eq!(
            short,
            ["0", "1.0e-6", "0.25", "3.146", "99.96", "12346", "-2.5"]
        );
    }

    #[test]
    fn only_all_is_100_percent_and_only_none_is_0_percent() {
        for n in [2u32, 50, 500, 2001, 20_407, 1_000_000_007] {
            for decimals in 0..4 {
                let shown = |k: u32| {
                    let text = format_percent(f64::from(k) / f64::from(n), decimals);
                    text.parse::<f64>().unwrap_or(f64::NAN)
                };
                assert_eq!((shown(0), shown(n)), (0.0, 100.0));
                assert!(shown(n - 1) < 100.0 && shown(1) > 0.0, "{n}");
                let value = 100.0 * f64::from(n - 1) / f64::from(n);
                let text = format_value(Some(value), "%");
                assert!(text.parse::<f64>().is_ok_and(|v| v < 100.0), "{text}");
            }
        }
        assert!(format_percent(1.0 - f64::EPSILON / 2.0, 1) != "100.0");
        assert_eq!(format_percent(f64::NAN, 1), "-");
    }
}
