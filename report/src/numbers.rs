//! How numbers read everywhere: in the report, in the terminal, on the command line.

use time::OffsetDateTime;

pub use crossover::error::grouped;
use crossover::lab::Estimate;

/// What stands for a figure that is no number.
const NOTHING: &str = "–";

/// A loss or a difference of losses: three decimals, a true minus sign, never "−0.000".
pub fn loss(value: f64) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let digits = format!("{:.3}", value.abs());
    let zero = digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    if value < 0.0 && !zero {
        format!("−{digits}")
    } else {
        digits
    }
}

/// A loss with its standard error, where one was measured.
pub fn measured(mean: f64, se: Option<f64>) -> String {
    match se {
        Some(se) => format!("{} ± {}", loss(mean), error(se)),
        None => loss(mean),
    }
}

/// A standard error: three decimals, or its first digit where three decimals would show zero.
pub fn error(se: f64) -> String {
    if se > 0.0 && se < 5e-4 {
        let decimals = (-se.log10()).ceil().clamp(0.0, 9.0) as usize;
        format!("{se:.decimals$}")
    } else {
        format!("{se:.3}")
    }
}

/// A share with its standard error, in percent.
pub fn share(share: Estimate) -> String {
    format!("{:.1} ± {:.1} %", share.mean * 100.0, share.se * 100.0)
}

/// A count in few characters: 812, 12.3k, 4.5M.
pub fn count(value: f64) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let units = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    // 999,960 is "1M", not "1000k": a unit begins where rounding to it would.
    match units.iter().find(|(size, _)| value >= size * 0.99995) {
        Some((size, unit)) => format!("{}{unit}", short(value / size)),
        None => short(value),
    }
}

/// So many of something: 1 step, 2 steps.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// One decimal below 100, where it says something; none above.
pub fn short(value: f64) -> String {
    let text = if value.abs() < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    };
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// Floating-point operations: 2.7e13.
pub fn flops(value: f64) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    if value < 1e3 {
        return short(value);
    }
    let text = format!("{value:.1e}");
    text.replace(".0e", "e")
}

/// A time span in its two largest units: 0.4 s, 40 s, 1 m 40 s, 2 h 5 m.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NOTHING.to_owned();
    }
    if seconds < 9.95 {
        return format!("{} s", short(seconds));
    }
    let whole = seconds.round() as u64;
    let (large, small, large_unit, small_unit) = match whole {
        0..60 => return format!("{whole} s"),
        60..3_600 => (whole / 60, whole % 60, "m", "s"),
        3_600..86_400 => (whole / 3_600, whole % 3_600 / 60, "h", "m"),
        _ => (whole / 86_400, whole % 86_400 / 3_600, "d", "h"),
    };
    if small == 0 {
        format!("{large} {large_unit}")
    } else {
        format!("{large} {large_unit} {small} {small_unit}")
    }
}

/// An amount of memory: 812 KiB, 61 MiB, 1.9 GiB.
pub fn memory(bytes: u64) -> String {
    const KIB: f64 = 1024.0;
    let bytes = bytes as f64;
    // What rounds up to the next unit gets it.
    let (size, unit) = match bytes / KIB {
        small if small < 1023.5 => (KIB, "KiB"),
        medium if medium < 1023.5 * KIB => (KIB * KIB, "MiB"),
        _ => (KIB * KIB * KIB, "GiB"),
    };
    match bytes / size {
        few if few < 9.95 => format!("{few:.1} {unit}"),
        many => format!("{many:.0} {unit}"),
    }
}

/// A moment, from seconds since 1970: 2026-02-28 14:05 UTC.
pub fn utc(unix: u64) -> String {
    let moment = moment(unix);
    let (hour, minute, _) = moment.to_hms();
    format!("{} {hour:02}:{minute:02} UTC", moment.date())
}

/// The same moment as the beginning of a file name, to the second: 20260228-140500.
pub fn file_stamp(unix: u64) -> String {
    let moment = moment(unix);
    let (hour, minute, second) = moment.to_hms();
    let date = moment.date().to_string().replace('-', "");
    format!("{date}-{hour:02}{minute:02}{second:02}")
}

/// What is no date on any calendar is shown as 1970.
fn moment(unix: u64) -> OffsetDateTime {
    i64::try_from(unix)
        .ok()
        .and_then(|unix| OffsetDateTime::from_unix_timestamp(unix).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_have_three_decimals_and_no_negative_zero() {
        assert_eq!(loss(0.59149), "0.591");
        assert_eq!(loss(-0.0411), "−0.041");
        assert_eq!(loss(-0.0002), "0.000");
        assert_eq!(measured(0.55, Some(0.0042)), "0.550 ± 0.004");
        assert_eq!(measured(0.55, Some(0.00042)), "0.550 ± 0.0004");
        assert_eq!(measured(0.55, Some(0.0)), "0.550 ± 0.000");
        assert_eq!(measured(0.55, None), "0.550");
        assert_eq!(loss(f64::NAN), "–");
    }

    #[test]
    fn counts_are_short() {
        assert_eq!(count(812.0), "812");
        assert_eq!(count(12_345.0), "12.3k");
        assert_eq!(count(25_000.0), "25k");
        assert_eq!(count(999_960.0), "1M");
        assert_eq!(count(4_500_000.0), "4.5M");
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(flops(2.7e13), "2.7e13");
        assert_eq!(flops(2e13), "2e13");
        assert_eq!(flops(0.0), "0");
    }

    #[test]
    fn durations_name_their_two_largest_units() {
        assert_eq!(duration(0.44), "0.4 s");
        assert_eq!(duration(40.2), "40 s");
        assert_eq!(duration(59.7), "1 m");
        assert_eq!(duration(100.0), "1 m 40 s");
        assert_eq!(duration(7_500.0), "2 h 5 m");
        assert_eq!(duration(90_000.0), "1 d 1 h");
        assert_eq!(duration(f64::NAN), "–");
    }

    #[test]
    fn moments_follow_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(utc(1_772_287_500), "2026-02-28 14:05 UTC");
        assert_eq!(utc(u64::MAX), "1970-01-01 00:00 UTC");
        assert_eq!(file_stamp(1_772_287_507), "20260228-140507");
        assert_eq!(memory(812 << 10), "812 KiB");
        assert_eq!(memory(1_900_000), "1.8 MiB");
        assert_eq!(memory((1 << 20) - 1), "1.0 MiB");
        assert_eq!(memory(64_000_000), "61 MiB");
        assert_eq!(memory(3 << 30), "3.0 GiB");
    }
}
