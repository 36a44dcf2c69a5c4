//! Every colour and mark of the report and the terminal view, in one place.

use crossover::objective::Objective;

/// A colour by what it is for, on light and on dark ground.
struct Role {
    name: &'static str,
    light: &'static str,
    dark: &'static str,
}

const ROLES: [Role; 11] = [
    role("ground", "#FFFFFF", "#131519"),
    role("panel", "#F4F5F7", "#1C1F25"),
    role("text", "#1A1D21", "#E8EAED"),
    role("muted", "#565D67", "#A4ABB6"),
    role("edge", "#767D87", "#737B87"),
    role("line", "#DFE2E7", "#2C313A"),
    role("ar", "#B84A00", "#FF9B5C"),
    role("masked", "#0B62B8", "#5BB1FF"),
    role("floor", "#4D545E", "#AEB5C0"),
    role("ok", "#1B7A4B", "#63D29B"),
    role("error", "#B3261E", "#FF8A80"),
];

const fn role(name: &'static str, light: &'static str, dark: &'static str) -> Role {
    Role { name, light, dark }
}

/// The roles as CSS variables, following the reader's system. Print is always on light ground.
pub fn variables() -> String {
    let list = |pick: fn(&Role) -> &'static str| {
        ROLES
            .iter()
            .map(|role| format!("--{}:{};", role.name, pick(role)))
            .collect::<String>()
    };
    format!(
        ":root{{color-scheme:light dark;{}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n",
        list(|role| role.light),
        list(|role| role.dark)
    )
}

/// How one model looks: told apart by mark and dash as well as by colour.
pub struct Racer {
    /// Its name in running text and on the chart.
    pub name: &'static str,
    /// Its CSS class, named after the colour's role.
    pub class: &'static str,
    /// The mark on its evaluations.
    pub mark: char,
    /// The dash of its line in SVG; none for a solid line.
    pub dash: Option<&'static str>,
    /// What its loss is.
    pub kind: &'static str,
    /// Its colour among a terminal's 256, readable on black and on white.
    pub terminal: u8,
}

/// How an objective's model looks.
pub fn racer(objective: Objective) -> &'static Racer {
    match objective {
        Objective::Autoregressive => &Racer {
            name: "AR",
            class: "ar",
            mark: '●',
            dash: None,
            kind: "exact NLL",
            terminal: 166,
        },
        Objective::Masked | Objective::Block | Objective::Dual => &Racer {
            name: "Diffusion",
            class: "masked",
            mark: '■',
            dash: Some("11 5"),
            kind: "upper bound",
            terminal: 32,
        },
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
    fn every_racer_has_a_colour_of_its_own() {
        for objective in [Objective::Autoregressive, Objective::Masked] {
            let class = racer(objective).class;
            assert!(ROLES.iter().any(|role| role.name == class));
        }
        assert_ne!(
            racer(Objective::Autoregressive).mark,
            racer(Objective::Masked).mark
        );
    }
}
