//! Every colour and mark of the report and the terminal view, in one place.

use crossover::objective::{Bound, Likelihood, Objective};

/// A colour by what it is for, on light and on dark ground.
struct Role {
    name: &'static str,
    light: &'static str,
    dark: &'static str,
}

const ROLES: [Role; 18] = [
    role("ground", "#FFFFFF", "#131519"),
    role("panel", "#F4F5F7", "#1C1F25"),
    role("text", "#1A1D21", "#E8EAED"),
    role("muted", "#565D67", "#A4ABB6"),
    role("edge", "#767D87", "#737B87"),
    role("line", "#DFE2E7", "#2C313A"),
    role("ar", "#B84A00", "#FF9B5C"),
    role("masked", "#0B62B8", "#5BB1FF"),
    role("block", "#00766C", "#4CCBB8"),
    role("dual", "#7A3FB0", "#C79BFF"),
    role("series-1", "#0B62B8", "#5BB1FF"),
    role("series-2", "#A8266E", "#FF8FC4"),
    role("series-3", "#00766C", "#4CCBB8"),
    role("series-4", "#7A3FB0", "#C79BFF"),
    role("series-5", "#6B6300", "#CFC24A"),
    role("floor", "#4D545E", "#AEB5C0"),
    role("ok", "#1B7A4B", "#63D29B"),
    role("error", "#B3261E", "#FF8A80"),
];

const fn role(name: &'static str, light: &'static str, dark: &'static str) -> Role {
    Role { name, light, dark }
}

/// The roles as CSS variables, following the reader's system (print is always on light ground), and the colours of
/// each model's class.
pub fn style() -> String {
    let list = |pick: fn(&Role) -> &'static str| {
        ROLES
            .iter()
            .map(|role| format!("--{}:{};", role.name, pick(role)))
            .collect::<String>()
    };
    let racers = Objective::ALL.map(|objective| racer(objective).class);
    let classes: String = racers
        .into_iter()
        .chain(SERIES)
        .map(|class| {
            format!(
                "svg path.{class}{{stroke:var(--{class})}}\n\
                 svg text.{class},svg .mark.{class},svg circle.{class}{{fill:var(--{class})}}\n\
                 svg .band.{class}{{fill:var(--{class});stroke:none}}\n\
                 .who .{class}{{color:var(--{class})}}\n"
            )
        })
        .collect();
    format!(
        ":root{{color-scheme:light dark;{}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n{classes}",
        list(|role| role.light),
        list(|role| role.dark)
    )
}

/// How one model looks: told apart by mark and dash as well as by colour. A bound is dashed, an exact loss is not.
pub struct Racer {
    /// Its name in tables.
    pub name: &'static str,
    /// Its name beside a line or a loss that may be one of two.
    pub short: &'static str,
    /// Its name at the beginning of a sentence.
    pub subject: &'static str,
    /// Its name within a sentence.
    pub spoken: &'static str,
    /// What it is, where nothing else says so.
    pub full: &'static str,
    /// Its CSS class, named after the colour's role.
    pub class: &'static str,
    /// The mark on its evaluations.
    pub mark: char,
    /// The dash of its line in SVG; none for a solid line.
    pub dash: Option<&'static str>,
    /// Its colour among a terminal's 256, readable on black and on white.
    pub terminal: u8,
}

impl Racer {
    /// The mark as an SVG path around a point, about `half` in every direction.
    pub fn outline(&self, x: f64, y: f64, half: f64) -> String {
        outline(self.mark, x, y, half)
    }
}

/// A mark as an SVG path around a point, about `half` in every direction.
pub fn outline(mark: char, x: f64, y: f64, half: f64) -> String {
    let (left, top, bottom, side) = (x - half, y - half, y + half, 2.0 * half);
    match mark {
        '■' => format!("M{left:.1} {top:.1}h{side}v{side}h-{side}Z"),
        '▲' => format!("M{left:.1} {bottom:.1}h{side}L{x:.1} {top:.1}Z"),
        '▼' => format!("M{left:.1} {top:.1}h{side}L{x:.1} {bottom:.1}Z"),
        '◆' => format!("M{left:.1} {y:.1}L{x:.1} {top:.1}l{half} {half}L{x:.1} {bottom:.1}Z"),
        _ => {
            format!("M{left:.1} {y:.1}a{half} {half} 0 1 0 {side} 0a{half} {half} 0 1 0 -{side} 0Z")
        }
    }
}

/// The classes of lines that stand for no objective.
const SERIES: [&str; 5] = ["series-1", "series-2", "series-3", "series-4", "series-5"];

/// How one of many lines looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series {
    /// Its CSS class, named after the colour's role.
    pub class: &'static str,
    /// The mark on its points.
    pub mark: char,
    /// The dash of its line in SVG; none for a solid line.
    pub dash: Option<&'static str>,
}

/// How the line of this number looks. The first 25 differ in colour and mark together, ten of them in colour and dash.
pub fn series(index: usize) -> Series {
    let round = index / SERIES.len();
    Series {
        class: SERIES[index % SERIES.len()],
        mark: ['■', '▲', '◆', '▼', '●'][(index + round) % 5],
        dash: (round % 2 == 1).then_some("7 4"),
    }
}

/// How an objective's model looks.
pub fn racer(objective: Objective) -> &'static Racer {
    match objective {
        Objective::Autoregressive => &Racer {
            name: "AR",
            short: "AR",
            subject: "AR",
            spoken: "AR",
            full: "AR",
            class: "ar",
            mark: '●',
            dash: None,
            terminal: 166,
        },
        Objective::Masked => &Racer {
            name: "Diffusion",
            short: "Diffusion",
            subject: "Diffusion",
            spoken: "diffusion",
            full: "masked diffusion",
            class: "masked",
            mark: '■',
            dash: Some("11 5"),
            terminal: 32,
        },
        Objective::Block => &Racer {
            name: "Block diffusion",
            short: "Block diffusion",
            subject: "Block diffusion",
            spoken: "block diffusion",
            full: "block diffusion",
            class: "block",
            mark: '▲',
            dash: Some("7 4"),
            terminal: 30,
        },
        Objective::Dual => &Racer {
            name: "Dual",
            short: "Dual bound",
            subject: "The dual model",
            spoken: "the dual model",
            full: "a dual model",
            class: "dual",
            mark: '▼',
            dash: Some("11 4 3 4"),
            terminal: 97,
        },
    }
}

/// How the line of one of a model's likelihoods looks. Only a dual model has a second one.
pub fn line(objective: Objective, likelihood: Likelihood) -> &'static Racer {
    match (objective, likelihood) {
        (Objective::Dual, Likelihood::Autoregressive) => &Racer {
            name: "Dual as AR",
            short: "Dual as AR",
            subject: "The dual model as AR",
            spoken: "the dual model as AR",
            full: "a dual model read left to right",
            class: "dual",
            mark: '◆',
            dash: None,
            terminal: 97,
        },
        _ => racer(objective),
    }
}

/// What a loss is.
pub fn kind(bound: Bound) -> &'static str {
    match bound {
        Bound::Exact => "exact NLL",
        Bound::Elbo => "upper bound",
    }
}

/// The terminal's colours for "all is well" and for "something is broken".
pub const TERMINAL_OK: u8 = 35;
/// See [`TERMINAL_OK`].
pub const TERMINAL_ERROR: u8 = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_a_colour_and_no_two_look_alike() {
        let mut looks = Vec::new();
        for objective in Objective::ALL {
            for likelihood in objective.likelihoods() {
                let look = line(objective, *likelihood);
                assert!(ROLES.iter().any(|role| role.name == look.class));
                looks.push((
                    look.mark,
                    look.dash,
                    look.short,
                    look.outline(9.0, 9.0, 5.0),
                ));
            }
        }
        for index in 0..25 {
            let look = series(index);
            assert!(ROLES.iter().any(|role| role.name == look.class));
            let alike = |other: &usize| {
                let other = series(*other);
                (other.class, other.mark) == (look.class, look.mark)
            };
            assert_eq!((0..25).filter(alike).count(), 1, "{look:?}");
        }
        for (index, look) in looks.iter().enumerate() {
            for other in &looks[..index] {
                assert!(look.0 != other.0 && look.2 != other.2 && look.3 != other.3);
            }
        }
    }
}
