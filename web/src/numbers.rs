//! Figures as people read them: the same everywhere.

pub use crossover::error::grouped;

/// A loss, three decimals.
pub fn loss(nats: f64) -> String {
    match nats.is_finite() {
        true => format!("{nats:.3}"),
        false => "–".to_owned(),
    }
}

/// A count: `812`, `12.3k`, `4.5M`.
pub fn count(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let scaled = |divisor: f64, letter: &str| {
        let text = format!("{:.1}", value / divisor);
        format!("{}{letter}", text.strip_suffix(".0").unwrap_or(&text))
    };
    // What rounds up to the next letter gets it.
    match value.abs() {
        below if below < 999.5 => {
            let text = format!("{value:.1}");
            text.strip_suffix(".0").unwrap_or(&text).to_owned()
        }
        below if below < 999_950.0 => scaled(1e3, "k"),
        below if below < 999_950_000.0 => scaled(1e6, "M"),
        _ => scaled(1e9, "G"),
    }
}

/// FLOPs: `2.7e13`.
pub fn flops(value: f64) -> String {
    match value.is_finite() {
        true if value < 1e4 => format!("{value:.0}"),
        true => format!("{value:.1e}"),
        false => "–".to_owned(),
    }
}

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

/// A span of time: `0.4 s`, `12 s`, `1 m 40 s`, `2 h 5 m`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".to_owned();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} m {} s", whole / 60, whole % 60),
        3_600..172_800 => format!("{} h {} m", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

/// An amount of memory: `812 KiB`, `61 MiB`, `1.9 GiB`.
pub fn bytes(value: u64) -> String {
    const KIB: f64 = 1024.0;
    let value = value as f64;
    let (scaled, unit) = match value {
        small if small < KIB * KIB => (value / KIB, "KiB"),
        medium if medium < KIB * KIB * KIB => (value / KIB / KIB, "MiB"),
        _ => (value / KIB / KIB / KIB, "GiB"),
    };
    match scaled < 9.95 {
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

/// A moment as the command line's folders have it: `20261124-001834`, UTC.
pub fn stamp(unix: u64) -> String {
    let (days, seconds) = (unix / 86_400, unix % 86_400);
    // Years of 400, counted from a first of March, so that leap days come last.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!(
        "{year}{month:02}{date:02}-{:02}{:02}{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
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
    fn figures_read_as_the_specification_says() {
        assert_eq!(loss(0.7156), "0.716");
        assert_eq!(
            [12.0, 812.0, 12_345.0, 50_000.0, 999_960.0, 4.5e6].map(count),
            ["12", "812", "12.3k", "50k", "1M", "4.5M"]
        );
        assert_eq!(flops(2.7e13), "2.7e13");
        assert_eq!(
            [0.4, 12.0, 100.0, 7_500.0, 360_000.0].map(duration),
            ["0.4 s", "12 s", "1 m 40 s", "2 h 5 m", "4 d 4 h"]
        );
        assert_eq!(bytes(64_000_000), "61 MiB");
        assert_eq!(bytes(1_900_000), "1.8 MiB");
        assert_eq!(grouped(1_240), "1,240");
        assert_eq!(flops_per_second(412e9), "412 GFLOP/s");
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

    #[test]
    fn moments_are_named_as_folders_are() {
        assert_eq!(stamp(0), "19700101-000000");
        assert_eq!(stamp(951_782_400), "20000229-000000");
        assert_eq!(stamp(1_795_479_514), "20261124-001834");
    }
}
