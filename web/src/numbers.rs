//! Figures as people read them, here as in reports, and as people type them.

pub use crossover_report::numbers::{count, duration, file_stamp, flops, grouped, loss, memory};

/// A rate: `412 GFLOP/s`.
pub fn flops_per_second(value: f64) -> String {
    let (divisor, unit) = match value {
        large if large >= 1e12 => (1e12, "TFLOP/s"),
        large if large >= 1e9 => (1e9, "GFLOP/s"),
        _ => (1e6, "MFLOP/s"),
    };
    let scaled = value / divisor;
    match scaled < 10.0 {
        true => format!("{scaled:.1} {unit}"),
        false => format!("{scaled:.0} {unit}"),
    }
}

/// An epoch: whole where it nearly is.
pub fn epoch(value: f64) -> String {
    match (value - value.round()).abs() < 0.05 {
        true => format!("{value:.0}"),
        false => format!("{value:.1}"),
    }
}

/// Reads what people type for a number: `12.3k`, `4.5M`, `1e-3`, `1,240`.
pub fn parse(text: &str) -> Option<f64> {
    let plain: String = text
        .chars()
        .filter(|letter| !matches!(letter, ',' | '_' | ' ' | '\u{202f}'))
        .collect();
    let (digits, factor) = match plain.chars().last()? {
        'k' | 'K' => (&plain[..plain.len() - 1], 1e3),
        'M' | 'm' => (&plain[..plain.len() - 1], 1e6),
        'G' => (&plain[..plain.len() - 1], 1e9),
        _ => (plain.as_str(), 1.0),
    };
    let value: f64 = digits.parse().ok()?;
    (value * factor).is_finite().then_some(value * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_epochs_are_short() {
        assert_eq!(flops_per_second(412e9), "412 GFLOP/s");
        assert_eq!(flops_per_second(1.3e12), "1.3 TFLOP/s");
        assert_eq!([7.98, 7.74].map(epoch), ["8", "7.7"]);
    }

    #[test]
    fn what_people_type_is_read() {
        assert_eq!(parse("12.3k"), Some(12_300.0));
        assert_eq!(parse("4.5M"), Some(4.5e6));
        assert_eq!(parse("1e-3"), Some(1e-3));
        assert_eq!(parse("1,240"), Some(1_240.0));
        assert_eq!(parse("many"), None);
        assert_eq!(parse(""), None);
    }
}
